"""The search for days of a fleet: ruin and recreate on one process or several, for some fleets polished with PyVRP.

Where ruin and recreate is not compiled yet, PyVRP does it alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from random import Random

from services.dispatch.planning.search import regions
from services.dispatch.planning.search.kernel import jit
from services.dispatch.planning.search.kernel.fleet import Fleet
from services.dispatch.planning.search.ruin_recreate import Days, Search
from services.dispatch.planning.search.worker_pool import Result, Task, WorkerPool

EPOCHS, EPOCH_S = 8, 0.4
"""How often processes that search side by side show each other what they have; how long a part is annealed before the
fleet is cut anew."""
PARTED = 300
"""Beyond so many orders each process anneals a part of the fleet."""
POLISHED = 600
"""Up to so many PyVRP polishes at the end: beyond `PARTED` those parts, so it takes several processes, else all."""
POLISH, POLISH_PARTS, CUTS = 0.35, 0.15, 2
"""The part of the time that it has then, for the whole and for parts; how often these are cut for it."""
LONG, ALL = 20, 1.0
"""Trips of more stops than that on average: there it has all the time, for its search is better at them."""


def search(fleet: Fleet, seconds: float, seed: int, warm: Days, rounds: int | None = None, threads: int = 1) -> Days:
    """The best days found in so many seconds from now, or in so many rounds: then equal calls give equal days."""
    until = time.monotonic() + seconds
    if rounds is None and not jit.compiling:
        from services.dispatch.planning.search import pyvrp_solver

        return pyvrp_solver.search(fleet, seed, lambda: time.monotonic() >= until)
    one = Search(fleet, seed, warm)
    polish = 0.0 if rounds is not None or warm else _polish(one, threads)
    with WorkerPool(fleet, threads) as team:
        if polish == ALL:
            return _polished(team, _begun(one), seed, until, anew=True).best
        best = _annealed(team, one, seed, until - polish * seconds, rounds, one.heats(bool(warm)))
        if polish:
            best = _polished(team, best, seed, until, CUTS if _parted(fleet, threads) else 0)
    return best.best


def _begun(one: Search) -> Result:
    days = one.days()
    return Result(days, one.cost, days, one.cost, 0)


def _parted(fleet: Fleet, processes: int) -> bool:
    return processes > 1 and fleet.orders > PARTED


def _polish(one: Search, processes: int) -> float:
    """The part of the time that PyVRP has at the end."""
    fleet, parted = one.fleet, _parted(one.fleet, processes)
    if fleet.orders > (POLISHED if parted else PARTED) or not _plain(fleet):
        return 0.0
    days = one.days().values()
    if sum(len(trip) for trips in days for trip in trips) > LONG * len(days):
        return ALL
    return POLISH_PARTS if parted else POLISH


def _plain(fleet: Fleet) -> bool:
    if fleet.max_trips > 1:
        return False
    from services.dispatch.planning.search import pyvrp_solver

    return pyvrp_solver.plain(fleet)


def _annealed(
    team: WorkerPool, one: Search, seed: int, until: float, rounds: int | None, heats: tuple[float, float]
) -> Result:
    """Small fleets are annealed whole by every process, and all go on from the best of them; of large ones each
    process anneals a part, cut anew each time."""
    random, (hot, cold) = Random(seed), heats
    epochs, parted = EPOCHS if team.size > 1 else 1, _parted(team.fleet, team.size)
    if parted and rounds is None:
        epochs = max(EPOCHS // 2, min(3 * EPOCHS, int((until - time.monotonic()) / EPOCH_S)))
    best = _begun(one)
    now = best.now
    for epoch in range(epochs):
        began = time.monotonic()
        first, last = (hot * (cold / hot) ** ((epoch + more) / epochs) for more in (0, 1))
        end = began + (until - began) / (epochs - epoch)
        share = None if rounds is None else rounds * (epoch + 1) // epochs - rounds * epoch // epochs
        tasks = [Task(now, random.getrandbits(32), first, last, end, share) for _ in range(team.size)]
        found = _in_parts(team, tasks, random) if parted else team.do(tasks)
        now = min(found, key=lambda result: result.now_cost).now
        best = min([best, *found], key=lambda result: result.best_cost)
    return best


def _polished(team: WorkerPool, best: Result, seed: int, until: float, cuts: int = 0, anew: bool = False) -> Result:
    """What PyVRP makes of it, in parts cut so many times, or else of the whole in every process; `anew`: with a
    beginning of its own."""
    random, times = Random(seed), max(1, cuts)
    for n_th in range(times):
        began = time.monotonic()
        end = began + (until - began) / (times - n_th)
        tasks = [Task(best.best, seed * team.size + n, 0, 0, end, polish=True, anew=anew) for n in range(team.size)]
        found = _in_parts(team, tasks, random) if cuts else team.do(tasks)
        best = min([best, *found], key=lambda result: result.best_cost)
    return best


def _in_parts(team: WorkerPool, tasks: list[Task], random: Random) -> list[Result]:
    """What the tasks, each with a part of the fleet, come to together."""
    parts = regions.cut(team.fleet, tasks[0].days, team.size, random)
    return [_joined(team.do([replace(task, vehicles=v, orders=o) for task, (v, o) in zip(tasks, parts, strict=True)]))]


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
