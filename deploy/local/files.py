"""Small files of a data folder, written so that a reader never sees half of one."""

import os
from pathlib import Path

from deploy.local.errors import StackError


def make_data_folder(data: Path) -> None:
    """Makes a data folder, for its owner only, with its logs folder; StackError when that is impossible."""
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        (data / "logs").mkdir(exist_ok=True)
    except OSError as error:
        raise StackError(f"{data} can't be used for data: {error.strerror}") from None


def write_private(path: Path, text: str) -> None:
    """Replaces `path` atomically by a file with mode 0600: a reader sees the old text or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def sync_folder(folder: Path) -> None:
    """Makes what was renamed into `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
