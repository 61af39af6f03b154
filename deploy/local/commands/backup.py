"""Backup of a stopped data folder as one file: a plain `tar.gz` that begins with a signed list of its contents."""

from __future__ import annotations

import gzip
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any, cast

from deploy.local.commands import manifest, signing
from deploy.local.commands.manifest import Hashing, Manifest
from deploy.local.data.files import create_private, draft_of, put_in_place, sync_folder
from deploy.local.data.lock import DataLock
from deploy.local.errors import StackError
from deploy.local.postgres import server as postgres
from deploy.local.processes import child

# Not part of the state: the lock, pids, addresses of a run, logs. Nor the keys of the front door's authority: who has
# them can pass for this machine before the phones that trust it. A restored stack makes new ones.
_LEFT_OUT = {
    "lock",
    "endpoints.json",
    "pids",
    "logs",
    "door",
    "kafka/pid",
    "postgres/pid",
    "postgres/data/postmaster.pid",
}
_NEEDED = ("secrets.json", "kafka/data/formatted", "postgres/data/PG_VERSION")


@dataclass(frozen=True)
class Backup:
    """Contents of a backup: its time, the versions and machine type that can read it, number of files and bytes, and
    the fingerprint of the signing key.
    """

    made_at: str
    postgres: str
    kafka: str
    machine: str
    files: int
    bytes: int
    signed_by: str

    @classmethod
    def of(cls, listed: Manifest, signed_by: str) -> Backup:
        """Return the description of a backup with this list and signer."""
        about = (listed.made_at, listed.postgres, listed.kafka, listed.machine)
        return cls(*about, files=len(listed.files), bytes=listed.bytes, signed_by=signed_by)


def write(data: Path, file: Path) -> Backup:
    """Write the data folder to a new `file`, mode 0600, because it contains passwords and people's addresses.

    It is signed with the account's key, which is created with the first backup. The folder is locked meanwhile, so no
    stack can start on it; leftover processes of a crash are ended first. The file gets its name only when all of it is
    on the disk. Raises StackError while a stack runs, when the folder has no state, when `file` exists or appears
    meanwhile, and when no key can be created.
    """
    _refuse_to_begin(data, file)
    lock = DataLock(data)
    draft = draft_of(file)
    try:
        _end_leftovers(data)
        listed = _listed(data)
        signature = signing.sign(manifest.signed_part(listed.written()))
        with open(create_private(draft), "wb") as raw:
            _pack(data, listed, signature, raw)
            raw.flush()
            os.fsync(raw.fileno())
        put_in_place(draft, file)
        sync_folder(file.parent)
    except FileExistsError:
        raise _exists(file) from None
    except OSError as error:
        raise StackError(f"the backup can't be written: {error.strerror or error}") from None
    finally:
        draft.unlink(missing_ok=True)
        lock.release()
    return Backup.of(listed, signature.signer)


def _refuse_to_begin(data: Path, file: Path) -> None:
    missing = [name for name in _NEEDED if not (data / name).exists()]
    if missing:
        raise StackError(f"{data} has no state of a stack: {', '.join(missing)} is missing")
    if file.exists():
        raise _exists(file)
    if file.absolute().is_relative_to(data.absolute()):
        raise StackError(f"{file} is inside the folder that it backs up; choose a file outside of {data}")
    if (of := (data / "postgres/data/PG_VERSION").read_text().strip()) != postgres.version():
        raise StackError(f"{data} has data of PostgreSQL {of}, this Halfday has {postgres.version()}")


def _exists(file: Path) -> StackError:
    return StackError(f"{file} exists; choose a new file")


def _end_leftovers(data: Path) -> None:
    """End a killed supervisor's children: nothing may write while the folder is read."""
    for pidfile in (data / "kafka" / "pid", *(data / "pids").glob("*")):
        child.kill_leftover(pidfile)
    postgres.end_leftovers(data)


def _listed(data: Path) -> Manifest:
    """Read the whole folder: the list comes first in the file, so that a reader can verify it before all else."""
    folders, files = [], {}
    for path in _state(data):
        name = path.relative_to(data).as_posix()
        if path.is_dir():
            folders.append(name)
            continue
        with path.open("rb") as content:
            reader = Hashing(content)
            while reader.read(manifest.CHUNK):
                pass
        files[name] = reader.entry()
    return Manifest.of(folders, files)


def _pack(data: Path, listed: Manifest, signature: signing.Signature, raw: IO[bytes]) -> None:
    # Level 1: a market day is mostly JSON and empty index pages, and the operator waits for it.
    packed = cast(IO[bytes], gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=1, filename="", mtime=0))
    with packed, tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, manifest.NAME, listed.written())
        _add(tar, manifest.SIGNATURE, signature.written())
        for name in listed.folders:  # in order, so each after its parent
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o700
            tar.addfile(info)
        for name, entry in listed.files.items():
            _add_file(tar, data / name, name, entry)


def _state(data: Path) -> Iterator[Path]:
    """Yield the folders and files of the state, each folder before its contents."""
    for path in sorted(data.rglob("*")):
        name = path.relative_to(data)
        if not _LEFT_OUT.isdisjoint(parent.as_posix() for parent in (name, *name.parents)):
            continue
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise StackError(f"{path} is neither a file nor a folder; the stack never creates one, so move it away")
        yield path


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o600
    tar.addfile(info, BytesIO(content))


def _add_file(tar: tarfile.TarFile, path: Path, name: str, entry: list[Any]) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = entry[0], 0o600
    with path.open("rb") as content:
        reader = Hashing(content)
        tar.addfile(info, cast(IO[bytes], reader))
    if reader.entry() != entry:
        raise StackError(f"{path} changed while it was read; end the process that writes it, then try again")
