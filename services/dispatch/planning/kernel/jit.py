"""Compiles the kernel with numba, once for each version of its source, into the user's cache folder.

Without numba everything still works, some hundred times slower: good for tests of small problems only. `ready` says
whether compiled code lies at hand; a solve must never wait for the compiler.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
PRESENT = find_spec("numba") is not None


def folder() -> Path:
    """Where the compiled code of this very source lies: numba itself would not notice a change in a callee."""
    digest = sha256(version("numba").encode() if PRESENT else b"")
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "halfday" / f"kernel-{digest.hexdigest()[:16]}"


def ready() -> bool:
    """Whether the kernel runs at full speed at once."""
    return PRESENT and (folder() / "ready").exists()


if PRESENT:
    numba: Any = import_module("numba")
    numba.config.CACHE_DIR = str(folder())

    def njit(function: F) -> F:
        """The function compiled at its first call, or taken from the cache."""
        return numba.njit(cache=True, fastmath=True)(function)  # type: ignore[no-any-return]

    def inline(function: F) -> F:
        """The same, laid into its callers: handing over some forty arrays costs more than a short function does."""
        return numba.njit(cache=True, fastmath=True, forceinline=True)(function)  # type: ignore[no-any-return]
else:

    def njit(function: F) -> F:
        """The function as it is."""
        return function

    inline = njit
