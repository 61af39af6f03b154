"""The per-user cache of things that are fetched or built once: jars, the broker's AOT cache."""

import os
from pathlib import Path

from deploy.local.data.files import refuse_shared
from deploy.local.errors import StackError


def cache_dir() -> Path:
    """The cache folder, made with mode 0700 if absent: HALFDAY_CACHE, else `halfday` under the user's cache folder.

    Code is run from it, so StackError when another user could have put something in it, or when it can't be made.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(os.environ.get("HALFDAY_CACHE") or Path(base) / "halfday").absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        refuse_shared(folder, "set HALFDAY_CACHE to a folder of yours")
    except OSError as error:
        raise StackError(f"{folder} can't be made ({error.strerror}); set HALFDAY_CACHE to a folder of yours") from None
    return folder
