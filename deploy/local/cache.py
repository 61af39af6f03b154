"""The per-user cache of things that are fetched or built once: jars, the broker's AOT cache."""

import os
from pathlib import Path

from deploy.local.errors import StackError


def cache_dir() -> Path:
    """The cache folder, made if absent: HALFDAY_CACHE, else `halfday` under the user's cache folder.

    Raises StackError when it can't be written.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(os.environ.get("HALFDAY_CACHE") or Path(base) / "halfday").absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StackError(f"{folder} can't be made ({error.strerror}); set HALFDAY_CACHE to a folder of yours") from None
    return folder
