"""The lock of the broker's jars and the ways to have the jars."""

import hashlib
from pathlib import Path

import pytest

from deploy.local.errors import StackError
from deploy.local.kafka import jars, lock_jars
from deploy.local.setup import download


@pytest.fixture
def two_jars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[jars.Jar]:
    """A lock with two small jars in place of the real one, and an empty cache."""
    found = [jars.Jar("org.a", name, "1", hashlib.sha256(name.encode()).hexdigest()) for name in ("one", "two")]
    lock = tmp_path / "kafka.lock"
    lock.write_text("".join(f"{j.group}:{j.artifact}:{j.version} sha256:{j.sha256}\n" for j in found))
    monkeypatch.setattr(jars.read_lock, "__defaults__", (lock,))
    monkeypatch.setenv("HALFDAY_CACHE", str(tmp_path / "cache"))
    for name in ("KAFKA_HOME", "HALFDAY_KAFKA_JARS"):
        monkeypatch.delenv(name, raising=False)
    return found


def fill(folder: Path, found: list[jars.Jar]) -> None:
    folder.mkdir(parents=True)
    for jar in found:
        (folder / jar.filename).write_text(jar.artifact)


def test_the_committed_lock_names_kafka_and_its_logging_and_no_host() -> None:
    locked = jars.read_lock()
    coordinates = [f"{jar.group}:{jar.artifact}:{jar.version}" for jar in locked]
    assert coordinates[0] == jars.ROOT
    assert coordinates[-1] == lock_jars.LOGGING
    assert len(locked) == 46
    assert "//" not in jars.LOCK.read_text()


@pytest.mark.parametrize("line", ["a:b sha256:" + "0" * 64, "a:b:c sha256:12", "a:b:c", "nonsense"])
def test_a_broken_line_is_named(tmp_path: Path, line: str) -> None:
    lock = tmp_path / "kafka.lock"
    lock.write_text(line)
    with pytest.raises(StackError, match="line 1"):
        jars.read_lock(lock)


def test_a_folder_of_jars_replaces_the_network(
    tmp_path: Path, two_jars: list[jars.Jar], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "my jars", two_jars)
    monkeypatch.setenv("HALFDAY_KAFKA_JARS", str(tmp_path / "my jars"))
    assert [file.name for file in jars.class_path()] == ["one-1.jar", "two-1.jar"]
    (tmp_path / "my jars" / "two-1.jar").write_text("tampered")
    with pytest.raises(StackError, match=r"two-1\.jar differs from the lock"):
        jars.class_path()
    (tmp_path / "my jars" / "two-1.jar").unlink()
    with pytest.raises(StackError, match=r"two-1\.jar is missing"):
        jars.class_path()


def test_an_installed_kafka_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_HOME", str(tmp_path))
    with pytest.raises(StackError, match="no jars"):
        jars.class_path()
    (tmp_path / "libs").mkdir()
    (tmp_path / "libs" / "kafka.jar").touch()
    assert jars.class_path() == [tmp_path / "libs" / "kafka.jar"]


def test_a_warm_cache_needs_no_network(
    tmp_path: Path, two_jars: list[jars.Jar], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jars, "_fetch", None)
    for jar in two_jars:
        file = jar.within(tmp_path / "cache" / "jars")
        file.parent.mkdir(parents=True)
        file.write_text(jar.artifact)
    assert len(jars.class_path()) == 2


def test_a_cold_cache_without_network_says_what_to_do(
    two_jars: list[jars.Jar], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: object) -> None:
        raise StackError("no network")

    monkeypatch.setattr(download, "fetch", no_network)
    with pytest.raises(
        StackError, match=r"(?s)no network.*run the command again, set HALFDAY_MAVEN_REPOSITORY.*HALFDAY_KAFKA_JARS"
    ):
        jars.class_path()


def test_only_what_lacks_is_fetched_and_progress_is_counted(
    tmp_path: Path, two_jars: list[jars.Jar], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def fetch(_: object, url: str, file: Path, sha256: str) -> None:
        asked.append(url.rpartition("/maven2/")[2])
        file.parent.mkdir(parents=True)
        file.write_text("two")

    one = two_jars[0].within(tmp_path / "cache" / "jars")
    one.parent.mkdir(parents=True)
    one.write_text("one")
    monkeypatch.setattr(download, "fetch", fetch)
    seen: list[tuple[int, int]] = []
    assert len(jars.class_path(lambda done, total: seen.append((done, total)))) == 2
    assert asked == ["org/a/two/1/two-1.jar"]
    assert seen == [(1, 2), (2, 2)]
