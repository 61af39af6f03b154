"""Restores a data folder from a backup: nothing is unpacked before its signer is verified."""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, cast

from deploy.local.commands import manifest, signing
from deploy.local.commands.backup import Backup
from deploy.local.commands.manifest import Hashing, Manifest
from deploy.local.data import contract_record
from deploy.local.data.files import create_private, draft_of, sync_folder
from deploy.local.errors import StackError

# Of a tar: the headers of a member with a long name, its padding, and the end of the archive.
_AROUND_A_MEMBER, _AROUND_ALL = 4096, 1 << 16
_SPARE_BYTES = 100 << 20
_BROKEN = (gzip.BadGzipFile, tarfile.TarError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError)


def restore(file: Path, data: Path, signed_by: str | None = None) -> Backup:
    """Create the data folder of the backup `file`, with every byte checked; `data` appears only when it is complete.

    The backup must be signed with the account's own key, or with the one that has the fingerprint `signed_by`. Raises
    StackError otherwise, when `data` exists (nothing is ever overwritten), when the file is truncated, changed or no
    backup, when the disk has no space for it, and when another version of PostgreSQL or Kafka wrote it, or one with
    another contract state.
    """
    if data.exists():
        raise StackError(f"{data} exists, and a restore overwrites nothing; choose a new folder with --data")
    draft = draft_of(data)
    try:
        draft.mkdir(parents=True, mode=0o700)
        found = _unpack(file, draft, signed_by)
        contract_record.check(draft, backup=file)
        os.sync()  # one for all: a sync for each of some thousand files takes many seconds
        draft.rename(data)
        sync_folder(data.parent)
    except _BROKEN:
        raise StackError(f"{file} is not a complete backup: it was truncated or changed") from None
    except OSError as error:
        raise StackError(f"{file} can't be restored to {data}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return found


class _Bounded:
    """An unpacked stream that fails after `left` bytes, so that a small file cannot unpack without limit."""

    def __init__(self, packed: IO[bytes], file: Path, left: int) -> None:
        self._packed = packed
        self._file = file
        self.left = left

    def read(self, size: int) -> bytes:
        """Return the next bytes, at most `size`."""
        found = self._packed.read(size)
        self.left -= len(found)
        if self.left < 0:
            raise StackError(f"{self._file} unpacks to more than its list; it is not a backup of Halfday")
        return found


def _unpack(file: Path, folder: Path, signed_by: str | None) -> Backup:
    with gzip.open(file) as raw:
        packed = _Bounded(cast(IO[bytes], raw), file, 2 * manifest.LONGEST + _AROUND_ALL)
        with tarfile.open(fileobj=cast(IO[bytes], packed), mode="r|") as tar:
            listed, signer = _head(tar, file, signed_by)
            _refuse_versions(listed, file)
            _refuse_size(listed, file, folder)
            members = len(listed.files) + len(listed.folders)
            packed.left = listed.bytes + members * _AROUND_A_MEMBER + _AROUND_ALL
            _unpack_listed(tar, listed, file, folder)
        while packed.read(manifest.CHUNK):  # to the end: gzip's checksum covers the bytes without a digest
            pass
    return Backup.of(listed, signer)


def _head(tar: tarfile.TarFile, file: Path, signed_by: str | None) -> tuple[Manifest, str]:
    """Return the list and the fingerprint of its signer, after checking that the operator trusts the signer."""
    written = _read(tar, manifest.NAME)
    if written is None:
        raise StackError(f"{file} is not a backup of a data folder")
    signature = _read(tar, manifest.SIGNATURE)
    if signature is None:
        raise StackError(
            f"{file} is not signed, so its origin is unknown; if an older version of Halfday wrote it, before backups "
            "were signed, restore it with that version"
        )
    found = signing.Signature.read(signature)
    if not found.verifies(manifest.signed_part(written)):
        raise StackError(f"{file} is damaged: its list differs from what was signed")
    _check_signer(found.signer, file, signed_by)
    return Manifest.read(written), found.signer


def _read(tar: tarfile.TarFile, name: str) -> bytes | None:
    """Return the next member, if it has that name and no more bytes than a list can have."""
    member = tar.next()
    content = tar.extractfile(member) if member and member.isfile() else None
    if member is None or content is None or member.name != name or member.size > manifest.LONGEST:
        return None
    return content.read()


def _check_signer(signer: str, file: Path, signed_by: str | None) -> None:
    if signed_by is not None:
        if signer != signed_by.strip():
            raise StackError(f"{file} was signed by {signer}, not by {signed_by.strip()}; find out who wrote it")
    elif signer != signing.own_signer():
        raise StackError(
            f"{file} was signed by {signer}, which is not the key of this account, and a forged backup can run its "
            f"author's code. If you wrote it on another machine, copy its backup.key to {signing.key_file()}; or "
            "compare the fingerprint with the output of `halfday backup` there, and if it is the same add: "
            f"--signed-by {signer}"
        )


def _refuse_versions(listed: Manifest, file: Path) -> None:
    for what, here in {"format": manifest.FORMAT, **manifest.versions()}.items():
        if (made := getattr(listed, what)) != here:
            raise StackError(f"{file} was made with {what} {made}; this Halfday has {here}, so use that version")


def _refuse_size(listed: Manifest, file: Path, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if listed.bytes + _SPARE_BYTES > free:
        raise StackError(
            f"{file} unpacks to {listed.bytes / 1e6:.0f} MB, and the disk has {free / 1e6:.0f} MB free; free space, or "
            "choose a folder on another disk with --data"
        )


def _unpack_listed(tar: tarfile.TarFile, listed: Manifest, file: Path, folder: Path) -> None:
    for name in listed.folders:
        _place(folder, name).mkdir(mode=0o700)
    missing = dict(listed.files)
    while member := tar.next():
        if member.isdir() and member.name in listed.folders:
            continue
        content = tar.extractfile(member) if member.isfile() else None
        if content is None:
            raise StackError(f"{file} has {member.name}, which is neither a file nor a listed folder; refused")
        entry = missing.pop(member.name, None)
        if entry is None or entry[0] != member.size or entry != _write(_place(folder, member.name), content):
            raise StackError(f"{file} is damaged: {member.name} differs from the list of digests")
    if missing:
        raise StackError(f"{file} is damaged: {next(iter(missing))} of its list is missing")


def _place(folder: Path, name: str) -> Path:
    """Return the path of a member. Raises StackError for a name that leads out of the folder."""
    parts = PurePosixPath(name).parts
    if not parts or PurePosixPath(name).is_absolute() or ".." in parts:
        raise StackError(f"the backup has the name {name!r}, which is outside of the folder; refused")
    return folder.joinpath(*parts)


def _write(path: Path, content: IO[bytes]) -> list[object]:
    """Write a new file; return its size and digest as a list names them."""
    reader = Hashing(content)
    with open(create_private(path), "wb") as target:
        while chunk := reader.read(manifest.CHUNK):
            target.write(chunk)
    return reader.entry()
