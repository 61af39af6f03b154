"""Compiles the kernel with numba, once for each version of its source, into the user's cache folder.

Where compiled code lies at hand it is used, else the kernel is plain Python, some hundred times slower: a solve never
waits for the compiler. `services.dispatch.planning.search.compile` calls that one.
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
    """Where compiled code is kept: NUMBA_CACHE_DIR, else the user's cache folder."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "halfday"


def folder() -> Path:
    """Where the compiled code of this very source lies. Numba itself notices neither a change in a callee nor, before
    it is too late, that it must compile: here all that it looks at is in the name."""
    digest = sha256(f"{sys.version} {platform.node()} {version('numba') if PRESENT else ''}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(f"{path} {path.stat().st_mtime_ns}".encode() + path.read_bytes())
    return root() / f"kernel-{digest.hexdigest()[:16]}"


def ready() -> bool:
    """Whether compiled code lies at hand that nobody else can have put there: numba unpickles it."""
    try:
        return PRESENT and (folder() / READY).exists() and not shared(folder())
    except (OSError, RuntimeError):  # no home, no access
        return False


def shared(compiled: Path) -> bool:
    """Whether another user than ourselves and root can write in that folder, or put another in its place."""
    above, itself = compiled.parent.stat(), compiled.stat()
    ours = {0, os.geteuid()}
    replaceable = above.st_mode & 0o022 and not above.st_mode & stat.S_ISVTX
    return not {above.st_uid, itself.st_uid} <= ours or bool(itself.st_mode & 0o022) or bool(replaceable)


def use() -> None:
    """From here on functions are compiled, also such as are not at hand yet. Call it before the kernel's other modules
    are imported."""
    global compiling
    numba = import_module("numba")
    numba.config.CACHE_DIR = str(folder())
    compiling = numba.njit


compiling: Any = None
"""Numba's decorator while functions are compiled."""
if ready():
    use()


def njit(function: F) -> F:
    """The function compiled, if functions are; else as it is."""
    return compiling(cache=True, fastmath=True)(function) if compiling else function


def inline(function: F) -> F:
    """The same, laid into its callers: handing over some forty arrays costs more than a short function does."""
    return compiling(cache=True, fastmath=True, forceinline=True)(function) if compiling else function
