"""The search for days of a fleet: ruin and recreate on one process or several, for some fleets polished with PyVRP.

Where ruin and recreate is not compiled yet, PyVRP does it alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from random import Random

from services.dispatch.planning import regions
from services.dispatch.planning.kernel import jit
from services.dispatch.planning.kernel.fleet import Fleet
from services.dispatch.planning.ruin_recreate import Days, Search
from services.dispatch.planning.team import Result, Task, Team

EPOCHS, EPOCH_S = 8, 0.4
"""How often processes that search side by side show each other what they have; how long a part is annealed before the
fleet is cut anew."""
PARTED = 300
"""Beyond so many orders each process anneals a part of the fleet; up to so many, PyVRP polishes at the end."""
POLISH = 0.35
"""Part of the time."""


def search(fleet: Fleet, seconds: float, seed: int, warm: Days, rounds: int | None = None, threads: int = 1) -> Days:
    """The best days found in so many seconds from now, or in so many rounds: then equal calls give equal days."""
    until = time.monotonic() + seconds
    if rounds is None and not jit.compiling:
        from services.dispatch.planning import pyvrp_solver

        return pyvrp_solver.search(fleet, seed, lambda: time.monotonic() >= until)
    polish = rounds is None and not warm and fleet.orders <= PARTED and _plain(fleet)
    one = Search(fleet, seed, warm)
    with Team(fleet, threads) as team:
        best = _annealed(team, one, seed, until - POLISH * seconds * polish, rounds, one.heats(bool(warm)))
        if polish:
            tasks = [Task(best.best, seed * threads + n, 0, 0, until, polish=True) for n in range(threads)]
            best = min([best, *team.do(tasks)], key=lambda result: result.best_cost)
    return best.best


def _plain(fleet: Fleet) -> bool:
    if fleet.max_trips > 1:
        return False
    from services.dispatch.planning import pyvrp_solver

    return pyvrp_solver.plain(fleet)


def _annealed(
    team: Team, one: Search, seed: int, until: float, rounds: int | None, heats: tuple[float, float]
) -> Result:
    """Small fleets are annealed whole by every process, and all go on from the best of them; of large ones each
    process anneals a part, cut anew each time."""
    random, (hot, cold) = Random(seed), heats
    days, epochs, parted = one.days(), EPOCHS if team.size > 1 else 1, team.size > 1 and team.fleet.orders > PARTED
    if parted and rounds is None:
        epochs = max(EPOCHS // 2, min(3 * EPOCHS, int((until - time.monotonic()) / EPOCH_S)))
    best = Result(days, one.cost, days, one.cost, 0)
    now = days
    for epoch in range(epochs):
        began = time.monotonic()
        first, last = (hot * (cold / hot) ** ((epoch + more) / epochs) for more in (0, 1))
        end = began + (until - began) / (epochs - epoch)
        share = None if rounds is None else rounds * (epoch + 1) // epochs - rounds * epoch // epochs
        tasks = [Task(now, random.getrandbits(32), first, last, end, share) for _ in range(team.size)]
        if parted:
            parts = regions.cut(team.fleet, now, team.size, random)
            tasks = [replace(task, vehicles=v, orders=o) for task, (v, o) in zip(tasks, parts, strict=True)]
        found = team.do(tasks)
        whole = [_joined(found)] if parted else found
        now = min(whole, key=lambda result: result.now_cost).now
        best = min([best, *whole], key=lambda result: result.best_cost)
    return best


def _joined(parts: Iterable[Result]) -> Result:
    """The parts as one."""
    parts = list(parts)
    return Result(
        {v: trips for part in parts for v, trips in part.now.items()},
        sum(part.now_cost for part in parts),
        {v: trips for part in parts for v, trips in part.best.items()},
        sum(part.best_cost for part in parts),
        sum(part.rounds for part in parts),
    )
