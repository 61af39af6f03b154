"""The search for days of a fleet: by ruin and recreate where its code is compiled, else by PyVRP."""

from __future__ import annotations

import time

from services.dispatch.planning.kernel import jit
from services.dispatch.planning.kernel.fleet import Fleet
from services.dispatch.planning.ruin_recreate import COLD, HOT, Days, Search


def search(fleet: Fleet, seconds: float, seed: int, warm: Days, rounds: int | None = None) -> Days:
    """The best days found in so many seconds from now, or in so many rounds: then equal calls give equal days."""
    until = time.monotonic() + seconds
    if rounds is None and not jit.compiling:
        from services.dispatch.planning import pyvrp_solver

        return pyvrp_solver.search(fleet, seed, lambda: time.monotonic() >= until)
    one = Search(fleet, seed, warm)
    if rounds is not None:
        one.cool_rounds(HOT * one.warmth, COLD * one.warmth, rounds)
    else:
        one.cool(HOT * one.warmth, COLD * one.warmth, lambda: 1 - (until - time.monotonic()) / seconds)
    return one.days()
