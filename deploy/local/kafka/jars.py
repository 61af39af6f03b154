"""The broker's jars: fetched once by a committed lock, each checked against its sha256."""

import fcntl
import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.setup.cache import cache_dir

LOCK = Path(__file__).with_name("kafka.lock")
ROOT = "org.apache.kafka:kafka_2.13:4.3.1"
THREADS = 8

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Jar:
    """One line of the lock: a coordinate and the sha256 (hex) of its file."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def filename(self) -> str:
        """The name of its file in any repository or folder."""
        return f"{self.artifact}-{self.version}.jar"

    def within(self, repository: Path) -> Path:
        """Return its path in a Maven-style repository."""
        return repository.joinpath(*self.group.split("."), self.artifact, self.version, self.filename)

    def verified(self, file: Path) -> bool:
        """Return whether `file` has exactly the locked content."""
        if not file.is_file():
            return False
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == self.sha256


def read_lock(lock: Path = LOCK) -> list[Jar]:
    """Return the locked jars in class path order. Raises StackError for a line that is not `g:a:v sha256:hex`."""
    jars = []
    for number, line in enumerate(lock.read_text().splitlines(), 1):
        coordinate, _, digest = line.partition(" sha256:")
        match coordinate.split(":"):
            case [group, artifact, version] if len(digest) == 64:
                jars.append(Jar(group, artifact, version, digest))
            case _:
                raise StackError(
                    f"{lock.name}, line {number}: expected 'group:artifact:version sha256:<64 hex digits>'"
                )
    return jars


def class_path(progress: Progress | None = None) -> list[Path]:
    """Return the jars of a complete Kafka, verified.

    KAFKA_HOME: that installation's own jars, unchecked. HALFDAY_KAFKA_JARS: a folder with the locked jars. Otherwise
    the user cache, filled over the network when jars are missing, from HALFDAY_MAVEN_REPOSITORY or Maven Central;
    `progress(done, total)` is called for each jar. Raises StackError if they cannot be fetched.
    """
    if home := os.environ.get("KAFKA_HOME"):
        found = sorted(Path(home, "libs").glob("*.jar"))
        if not found:
            raise StackError(f"KAFKA_HOME is {home}, but there are no jars in its libs folder")
        return found
    if folder := os.environ.get("HALFDAY_KAFKA_JARS"):
        return _from_folder(Path(folder).absolute())
    return _from_cache(progress)


def _from_folder(folder: Path) -> list[Path]:
    files = []
    for jar in read_lock():
        file = folder / jar.filename
        if not jar.verified(file):
            state = "differs from the lock" if file.exists() else "is missing"
            raise StackError(f"HALFDAY_KAFKA_JARS is {folder}, but {jar.filename} {state}")
        files.append(file)
    return files


def _from_cache(progress: Progress | None) -> list[Path]:
    jars, repository = read_lock(), cache_dir() / "jars"
    files = [jar.within(repository) for jar in jars]
    if not all(jar.verified(file) for jar, file in zip(jars, files, strict=True)):
        repository.mkdir(exist_ok=True)
        with (repository / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # a second process waits and then finds all jars in the cache
            _fetch(jars, repository, progress)
    return files


def _fetch(jars: list[Jar], repository: Path, progress: Progress | None) -> None:
    from jgo.constants import MAVEN_CENTRAL_URL  # slow imports, needed by the first run only

    from deploy.local.setup import download

    place = (os.environ.get("HALFDAY_MAVEN_REPOSITORY") or MAVEN_CENTRAL_URL).rstrip("/")

    def fetch(jar: Jar) -> None:
        file = jar.within(repository)
        if not jar.verified(file):
            download.fetch(client, f"{place}/{jar.within(Path()).as_posix()}", file, jar.sha256)

    try:
        with download.connect() as client, ThreadPoolExecutor(THREADS) as pool:
            try:
                for done, _ in enumerate(pool.map(fetch, jars), 1):
                    if progress:
                        progress(done, len(jars))
            except StackError:
                pool.shutdown(cancel_futures=True)
                raise
    except StackError as error:
        raise StackError(
            f"Kafka's jars can't be fetched: {error}\n"
            "Fix that and run the command again, set HALFDAY_MAVEN_REPOSITORY to a mirror, "
            "or HALFDAY_KAFKA_JARS to a folder that has the jars."
        ) from error
