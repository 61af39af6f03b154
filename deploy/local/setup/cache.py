"""The per-user cache of downloads and builds: jars, the broker's AOT cache."""

import os
from pathlib import Path

from deploy.local.data.files import refuse_shared
from deploy.local.errors import StackError


def cache_dir() -> Path:
    """Return the cache folder, created with mode 0700 if absent: HALFDAY_CACHE, else `halfday` under the user's cache
    folder.

    The stack runs code from it. Raises StackError when another user could have put files in it, or when it cannot be
    created.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(os.environ.get("HALFDAY_CACHE") or Path(base) / "halfday").absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        refuse_shared(folder, "set HALFDAY_CACHE to your own folder")
    except OSError as error:
        raise StackError(
            f"{folder} can't be created ({error.strerror}); set HALFDAY_CACHE to your own folder"
        ) from None
    return folder
