"""A stopped data folder as one file, and back: a plain `tar.gz` whose last member lists every other with its digest."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import platform
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from deploy.local import contract_record, postgres, process
from deploy.local.errors import StackError
from deploy.local.files import sync_folder
from deploy.local.holder import Holder
from deploy.local.jars import ROOT as KAFKA

FORMAT = 1
LABEL, MANIFEST = "halfday-backup.json", "manifest.json"
# Of the run, not of the state: who holds the folder, pids, addresses of a run, logs.
_LEFT_OUT = {"lock", "endpoints.json", "pids", "logs", "kafka/pid", "postgres/pid", "postgres/data/postmaster.pid"}
_NEEDED = ("secrets.json", "kafka/data/formatted", "postgres/data/PG_VERSION")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Backup:
    """What a backup holds: when it was made, the versions and the kind of machine that can read it, and how many
    bytes there are in how many files.
    """

    made_at: str
    postgres: str
    kafka: str
    machine: str
    files: int
    bytes: int


def write(data: Path, file: Path) -> Backup:
    """Writes the data folder to a new `file`, mode 0600: it holds the folder's passwords and people's addresses.

    The folder is held meanwhile, so no stack can start on it, and what a crash left running is ended first. The
    file appears under its name only when all of it is on the disk. Raises StackError while a stack runs, when the
    folder holds no state, and when `file` is there already.
    """
    _refuse_to_begin(data, file)
    holder = Holder(data)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        _end_leftovers(data)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as raw:
            made = _pack(data, raw)
            raw.flush()
            os.fsync(raw.fileno())
        draft.rename(file)
        sync_folder(file.parent)
    except OSError as error:
        raise StackError(f"the backup can't be written: {error.strerror or error}") from None
    finally:
        draft.unlink(missing_ok=True)
        holder.release()
    return made


def restore(file: Path, data: Path) -> Backup:
    """Makes the data folder that `file` holds, with every byte checked; `data` appears only when it is whole.

    Raises StackError when `data` is there already (nothing is ever overwritten), when the file is cut, changed or no
    backup, and when another version of PostgreSQL or Kafka wrote it, or one with another contract state.
    """
    if data.exists():
        raise StackError(f"{data} is there already, and a restore overwrites nothing; name a new folder with --data")
    draft = data.with_name(f".{data.name}.{os.getpid()}.restoring")
    try:
        draft.mkdir(parents=True, mode=0o700)
        found = _unpack(file, draft)
        contract_record.check(draft, backup=file)
        os.sync()  # one for all: a sync for each of some thousand files takes many seconds
        draft.rename(data)
        sync_folder(data.parent)
    except (gzip.BadGzipFile, tarfile.TarError, EOFError, zlib.error, ValueError, KeyError):
        raise StackError(f"{file} is no whole backup: it was cut or changed") from None
    except OSError as error:
        raise StackError(f"{file} can't be restored to {data}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return found


def _refuse_to_begin(data: Path, file: Path) -> None:
    missing = [name for name in _NEEDED if not (data / name).exists()]
    if missing:
        raise StackError(f"{data} holds no state of a stack: {', '.join(missing)} is missing")
    if file.exists():
        raise StackError(f"{file} is there already; name a new file")
    if file.absolute().is_relative_to(data.absolute()):
        raise StackError(f"{file} would lie in the folder that it backs up; name a place outside of {data}")


def _end_leftovers(data: Path) -> None:
    """Nothing may write while the folder is read: a killed supervisor's children may still be on their way out."""
    for pidfile in (data / "kafka" / "pid", *(data / "pids").glob("*")):
        process.kill_leftover(pidfile)
    postgres.end_leftovers(data)


def _pack(data: Path, raw: IO[bytes]) -> Backup:
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    versions = _versions()
    if (of := (data / "postgres/data/PG_VERSION").read_text().strip()) != versions["postgres"]:
        raise StackError(f"{data} is of PostgreSQL {of}, which this Halfday can't run")
    listed: dict[str, list[Any]] = {}
    with _compressed(raw) as packed, tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, LABEL, json.dumps({"format": FORMAT, "made_at": made_at, **versions}).encode())
        for path in _state(data):
            name = path.relative_to(data).as_posix()
            if path.is_dir():
                info = tarfile.TarInfo(name)
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            else:
                listed[name] = _add_file(tar, name, path)
        _add(tar, MANIFEST, json.dumps(listed).encode())
    return Backup(made_at, **versions, files=len(listed), bytes=sum(size for size, _ in listed.values()))


def _versions() -> dict[str, str]:
    """PostgreSQL's files belong to one major version and one kind of machine, Kafka's to one version or newer."""
    return {"postgres": postgres.version(), "kafka": KAFKA, "machine": platform.machine()}


def _compressed(raw: IO[bytes]) -> IO[bytes]:
    # Level 1: a market day is mostly JSON and empty index pages, and the operator waits for it.
    return cast(IO[bytes], gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=1, filename="", mtime=0))


def _state(data: Path) -> Iterator[Path]:
    """Folders and files that are state, each folder before what is in it."""
    for path in sorted(data.rglob("*")):
        name = path.relative_to(data)
        if not _LEFT_OUT.isdisjoint(parent.as_posix() for parent in (name, *name.parents)):
            continue
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise StackError(f"{path} is neither a file nor a folder; the stack makes no such thing, so move it away")
        yield path


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o600
    tar.addfile(info, BytesIO(content))


def _add_file(tar: tarfile.TarFile, name: str, path: Path) -> list[Any]:
    """Adds a file and returns its size and SHA-256."""
    with path.open("rb") as content:
        info = tarfile.TarInfo(name)
        info.size, info.mode = os.fstat(content.fileno()).st_size, 0o600
        reader = _Hashing(content)
        tar.addfile(info, cast(IO[bytes], reader))
    return [info.size, reader.digest.hexdigest()]


class _Hashing:
    """A file whose reader leaves its digest behind."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        found = self._content.read(size)
        self.digest.update(found)
        return found


def _unpack(file: Path, folder: Path) -> Backup:
    seen: dict[str, list[Any]] = {}
    label: dict[str, Any] | None = None
    listed = False
    with gzip.open(file) as packed, tarfile.open(fileobj=packed, mode="r|") as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isfile() else None
            if label is None:
                label = _label(file, member.name, content)
            elif member.isdir():
                _place(folder, member.name).mkdir(mode=0o700)
            elif content is None:
                raise StackError(f"{file} holds {member.name}, which is neither a file nor a folder; it is not ours")
            elif member.name == MANIFEST:
                if json.loads(content.read()) != seen:
                    raise StackError(f"{file} is damaged: a file differs from the list of its digests")
                listed = True
            else:
                seen[member.name] = _write(_place(folder, member.name), content)
        while packed.read(_CHUNK):  # to its end, where gzip's checksum covers what no digest does
            pass
    if label is None or not listed:
        raise StackError(f"{file} is no whole backup: its list of digests is missing")
    return Backup(label["made_at"], **_versions(), files=len(seen), bytes=sum(size for size, _ in seen.values()))


def _label(file: Path, name: str, content: IO[bytes] | None) -> dict[str, Any]:
    if name != LABEL or content is None:
        raise StackError(f"{file} is no backup of a data folder")
    label: dict[str, Any] = json.loads(content.read())
    for what, here in {"format": FORMAT, **_versions()}.items():
        if label[what] != here:
            raise StackError(f"{file} was made with {what} {label[what]}; this Halfday has {here}, so use that version")
    return label


def _place(folder: Path, name: str) -> Path:
    """Where a member belongs; StackError for a name that leads out of the folder."""
    parts = PurePosixPath(name).parts
    if not parts or PurePosixPath(name).is_absolute() or ".." in parts:
        raise StackError(f"the backup names {name!r}, which lies outside of the folder; it is not ours")
    return folder.joinpath(*parts)


def _write(path: Path, content: IO[bytes]) -> list[Any]:
    size, digest = 0, hashlib.sha256()
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
        while chunk := content.read(_CHUNK):
            size += len(chunk)
            digest.update(chunk)
            target.write(chunk)
    return [size, digest.hexdigest()]
