"""Compiles the inner loops of the search, once for each version of their source, in about half a minute.

Usage: `python -m services.dispatch.planning.search.compile [NICE]`.

Until that is done, and where it is not possible, PyVRP searches. Processes that call it at the same time wait for the
first one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import time

from services.dispatch.planning.problem import Courier, Order, Place, RoutingProblem, Window
from services.dispatch.planning.search.kernel import jit

OLD_S = 30 * 86_400
"""Compiled code of other versions is deleted at this age."""


def main() -> int:
    """Compile unless that is done already, at the niceness given; report on stderr. Exit code 1 when that fails.

    Give a niceness only when no one waits for the result: beside other work a process at nice 19 may take an hour for
    half a minute's work.
    """
    if jit.ready():
        return 0
    if not jit.PRESENT:
        return _report("numba is not installed: PyVRP searches instead.", 1)
    os.nice(int(sys.argv[1]) if sys.argv[1:] else 0)
    try:
        jit.root().mkdir(parents=True, exist_ok=True, mode=0o700)
        jit.folder().mkdir(exist_ok=True, mode=0o700)
        if jit.shared(jit.folder()):
            return _report(
                f"Others can write in {jit.folder()} or its parent, so no code is kept there: PyVRP searches instead.",
                1,
            )
        with (jit.folder() / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return 0 if jit.ready() else _compile()
    except (OSError, RuntimeError) as error:
        return _report(f"compiled code can't be stored ({error}): PyVRP searches instead.", 1)
    except ImportError as error:
        return _report(f"numba can't be loaded ({error}): PyVRP searches instead.", 1)


def _compile() -> int:
    _report("Compiling the planner's inner loops, once (half a minute) ...")
    began = time.monotonic()
    jit.use()
    from services.dispatch.planning.search import fleets
    from services.dispatch.planning.search.ruin_recreate import Search

    station = Place(0, 0)
    orders = tuple(Order(str(n), Place(0, 0.001 * n), 1, 0, (Window(0, 9_999),)) for n in (1, 2, 3))
    problem = RoutingProblem(station, (Courier("1", 2, 0, 0, 9_999), Courier("2", 2, 0, 0, 9_999)), orders)
    Search(fleets.crew(problem).fleet, 1, {0: [[1, 2]]}).cool_rounds(1.0, 0.5, 10)
    (jit.folder() / jit.READY).touch()
    for old in jit.root().glob("kernel-*"):
        if old.stat().st_mtime < time.time() - OLD_S:
            shutil.rmtree(old, ignore_errors=True)
    return _report(f"Compiled in {time.monotonic() - began:.0f} s into {jit.folder()}")


def _report(text: str, code: int = 0) -> int:
    print(text, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
