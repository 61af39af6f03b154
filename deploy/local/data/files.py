"""Files and folders that only their owner can read, written atomically."""

import errno
import os
import secrets
import stat
from pathlib import Path

from deploy.local.errors import StackError

_WRITABLE_BY_OTHERS = 0o022
# FAT and some network file systems know no hard links.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK}


def make_data_folder(data: Path) -> None:
    """Create a data folder with its logs folder, both for their owner only.

    Raises StackError when that is impossible, and for a folder in which another user could have put files.
    """
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        refuse_shared(data, "choose another folder with --data")
        (data / "logs").mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise StackError(f"{data} can't be used as data folder: {error.strerror}") from None


def make_private(data: Path) -> None:
    """Close a data folder and its logs to all other users. Raises StackError when that is refused."""
    try:
        for folder in (data, data / "logs"):
            folder.chmod(0o700)
    except OSError as error:
        raise StackError(f"{data} can't be closed to other users: {error.strerror}") from None


def refuse_shared(folder: Path, remedy: str) -> None:
    """Raise StackError unless `folder` belongs to this user (or root) and no other user can write in it."""
    found = folder.stat()
    if found.st_uid not in {0, os.geteuid()}:
        raise StackError(f"{folder} belongs to another user (uid {found.st_uid}); {remedy}")
    if stat.S_IMODE(found.st_mode) & _WRITABLE_BY_OTHERS:
        raise StackError(
            f"other users can write in {folder}, so its files may not be yours; "
            f"{remedy}, or check its files and run: chmod go-w '{folder}'"
        )


def draft_of(path: Path) -> Path:
    """Return an unpredictable name beside `path`."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}")


def create_private(path: Path) -> int:
    """Return a descriptor of a new file with mode 0600. Raises FileExistsError if the name exists, also as a link."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)


def write_private(path: Path, text: str) -> None:
    """Replace `path` atomically by a file with mode 0600: a reader sees the old text or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = draft_of(path)
    try:
        with open(create_private(draft), "w") as file:
            file.write(text)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def put_in_place(draft: Path, path: Path) -> None:
    """Give a finished file its name. Raises FileExistsError if the name exists by now."""
    try:
        os.link(draft, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.close(create_private(path))
        draft.replace(path)
    else:
        draft.unlink()


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that renamed files survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
