"""Compiles the kernel with numba, once for each version of its source, into the user's cache folder.

Compiled code is used where it exists already, else the kernel runs as plain Python, about a hundred times slower: a
solve never waits for the compiler. `services.dispatch.planning.search.compile` is the command that compiles.
"""

from __future__ import annotations

import os
import platform
import stat
import sys
from collections.abc import Callable
from hashlib import sha256
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
PRESENT = find_spec("numba") is not None
READY = "ready"


def root() -> Path:
    """Return the folder of all compiled code: NUMBA_CACHE_DIR, else the user's cache folder."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "halfday"


def folder() -> Path:
    """Return the folder of the compiled code of exactly this source.

    Numba's own cache does not notice a change in a called function, and notices too late that it must compile.
    Therefore the name holds a digest of all that it depends on.
    """
    digest = sha256(f"{sys.version} {platform.node()} {version('numba') if PRESENT else ''}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(f"{path} {path.stat().st_mtime_ns}".encode() + path.read_bytes())
    return root() / f"kernel-{digest.hexdigest()[:16]}"


def ready() -> bool:
    """Return whether compiled code exists that no other user can have written: numba unpickles it."""
    try:
        return PRESENT and (folder() / READY).exists() and not shared(folder())
    except (OSError, RuntimeError):  # no home folder, no access
        return False


def shared(compiled: Path) -> bool:
    """Return whether a user other than this one and root can write into the folder, or replace it."""
    above, itself = compiled.parent.stat(), compiled.stat()
    ours = {0, os.geteuid()}
    # In a folder with the sticky bit, such as /tmp, others can't rename or delete what is ours.
    replaceable = above.st_mode & 0o022 and not above.st_mode & stat.S_ISVTX
    return not {above.st_uid, itself.st_uid} <= ours or bool(itself.st_mode & 0o022) or bool(replaceable)


def use() -> None:
    """Compile functions from here on, or load them compiled. Call it before the kernel's other modules are imported."""
    global compiling
    numba = import_module("numba")
    numba.config.CACHE_DIR = str(folder())
    compiling = numba.njit


compiling: Any = None
"""Numba's decorator while functions are compiled, else None."""
if ready():
    use()


def njit(function: F) -> F:
    """Return the function compiled, or unchanged when functions are not compiled."""
    return compiling(cache=True, fastmath=True)(function) if compiling else function


def inline(function: F) -> F:
    """Return the function compiled into its callers: passing some forty arrays costs more than a short function."""
    return compiling(cache=True, fastmath=True, forceinline=True)(function) if compiling else function
