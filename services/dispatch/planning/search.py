"""The search for days of a fleet: by ruin and recreate where its code is compiled, else by PyVRP."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from random import Random

from services.dispatch.planning import regions
from services.dispatch.planning.kernel import jit
from services.dispatch.planning.kernel.fleet import Fleet
from services.dispatch.planning.ruin_recreate import COLD, HOT, Days, Search
from services.dispatch.planning.team import Task, Team

EPOCHS = 8
"""How often processes that search side by side show each other what they have."""
PARTED = 300
"""From so many orders on a fleet is annealed in parts."""


def search(fleet: Fleet, seconds: float, seed: int, warm: Days, rounds: int | None = None, threads: int = 1) -> Days:
    """The best days found in so many seconds from now, or in so many rounds: then equal calls give equal days."""
    until = time.monotonic() + seconds
    if rounds is None and not jit.compiling:
        from services.dispatch.planning import pyvrp_solver

        return pyvrp_solver.search(fleet, seed, lambda: time.monotonic() >= until)
    one = Search(fleet, seed, warm)
    if threads > 1:
        return _side_by_side(one, seed, until, rounds, threads)
    if rounds is not None:
        one.cool_rounds(HOT * one.warmth, COLD * one.warmth, rounds)
    else:
        one.cool(HOT * one.warmth, COLD * one.warmth, lambda: 1 - (until - time.monotonic()) / seconds)
    return one.days()


def _side_by_side(one: Search, seed: int, until: float, rounds: int | None, threads: int) -> Days:
    """Small fleets are annealed whole by every process, and all go on from the best of them; of large ones each
    process anneals a part, cut anew each time."""
    fleet, random = one.fleet, Random(seed)
    now, best, least = one.days(), one.days(), one.cost
    parted = fleet.orders >= PARTED
    with Team(fleet, threads) as team:
        for epoch in range(EPOCHS):
            began = time.monotonic()
            hot, cold = (one.warmth * HOT * (COLD / HOT) ** ((epoch + more) / EPOCHS) for more in (0, 1))
            end = began + (until - began) / (EPOCHS - epoch)
            share = None if rounds is None else rounds * (epoch + 1) // EPOCHS - rounds * epoch // EPOCHS
            tasks = [Task(now, random.getrandbits(32), hot, cold, end, share) for _ in range(threads)]
            if parted:
                parts = regions.cut(fleet, now, threads, random)
                tasks = [replace(task, vehicles=v, orders=o) for task, (v, o) in zip(tasks, parts, strict=True)]
            found = team.do(tasks)
            whole = [found] if parted else [[result] for result in found]
            now = _joined(result.now for result in min(whole, key=lambda parts: sum(part.now_cost for part in parts)))
            top = min(whole, key=lambda parts: sum(part.best_cost for part in parts))
            if (cost := sum(part.best_cost for part in top)) < least:
                best, least = _joined(part.best for part in top), cost
    return best


def _joined(parts: Iterable[Days]) -> Days:
    return {v: trips for part in parts for v, trips in part.items()}
