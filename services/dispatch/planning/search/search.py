"""Searches the best days of a fleet: ruin and recreate in one process or several; PyVRP polishes some fleets.

While ruin and recreate is not compiled yet, PyVRP searches alone.
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
"""Number of times that parallel processes continue from their best result; seconds for which a part is annealed before
the fleet is divided again (docs/experiments/planning.md#processes)."""
PARTED = 300
"""Above so many orders each process anneals a part of the fleet (docs/experiments/planning.md#processes)."""
POLISHED = 600
"""Up to so many orders PyVRP polishes at the end: above `PARTED` in parts, which takes several processes, else the
whole (docs/experiments/planning.md#polishing)."""
POLISH, POLISH_PARTS, CUTS = 0.35, 0.15, 2
"""PyVRP's part of the time, for the whole fleet and for parts; how often the fleet is divided for it
(docs/experiments/planning.md#polishing)."""
LONG, ALL = 20, 1.0
"""With more stops than that on an average trip, PyVRP has all the time: it is better at long trips
(docs/experiments/planning.md#polishing)."""


def search(fleet: Fleet, seconds: float, seed: int, warm: Days, rounds: int | None = None, threads: int = 1) -> Days:
    """Return the best days found in so many seconds from now, or in so many rounds: then equal calls give equal days.

    `warm` are days to start from, empty for none. `threads` is the number of processes.
    """
    until = time.monotonic() + seconds
    if rounds is None and not jit.compiling:
        from services.dispatch.planning.search import pyvrp_solver

        return pyvrp_solver.search(fleet, seed, lambda: time.monotonic() >= until)
    annealing = Search(fleet, seed, warm)
    polish = 0.0 if rounds is not None or warm else _polish(annealing, threads)
    with WorkerPool(fleet, threads) as pool:
        if polish == ALL:
            return _polished(pool, _initial(annealing), seed, until, scratch=True).best
        best = _annealed(pool, annealing, seed, until - polish * seconds, rounds, annealing.heats(bool(warm)))
        if polish:
            best = _polished(pool, best, seed, until, CUTS if _parted(fleet, threads) else 0)
    return best.best


def _initial(annealing: Search) -> Result:
    days = annealing.days()
    return Result(days, annealing.cost, days, annealing.cost, 0)


def _parted(fleet: Fleet, processes: int) -> bool:
    return processes > 1 and fleet.orders > PARTED


def _polish(annealing: Search, processes: int) -> float:
    """Return the part of the time that PyVRP has at the end, 0..1."""
    fleet, parted = annealing.fleet, _parted(annealing.fleet, processes)
    if fleet.orders > (POLISHED if parted else PARTED) or not _plain(fleet):
        return 0.0
    days = annealing.days().values()
    if sum(len(trip) for trips in days for trip in trips) > LONG * len(days):
        return ALL
    return POLISH_PARTS if parted else POLISH


def _plain(fleet: Fleet) -> bool:
    if fleet.max_trips > 1:
        return False
    from services.dispatch.planning.search import pyvrp_solver

    return pyvrp_solver.plain(fleet)


def _annealed(
    pool: WorkerPool, annealing: Search, seed: int, until: float, rounds: int | None, heats: tuple[float, float]
) -> Result:
    """Anneal. Every process anneals the whole of a small fleet, and all continue from the best; of a large fleet each
    process anneals a part, divided again each time."""
    random, (hot, cold) = Random(seed), heats
    epochs, parted = EPOCHS if pool.size > 1 else 1, _parted(pool.fleet, pool.size)
    if parted and rounds is None:
        epochs = max(EPOCHS // 2, min(3 * EPOCHS, int((until - time.monotonic()) / EPOCH_S)))
    best = _initial(annealing)
    now = best.now
    for epoch in range(epochs):
        began = time.monotonic()
        first, last = (hot * (cold / hot) ** ((epoch + more) / epochs) for more in (0, 1))
        end = began + (until - began) / (epochs - epoch)
        share = None if rounds is None else rounds * (epoch + 1) // epochs - rounds * epoch // epochs
        tasks = [Task(now, random.getrandbits(32), first, last, end, share) for _ in range(pool.size)]
        found = _in_parts(pool, tasks, random) if parted else pool.run(tasks)
        now = min(found, key=lambda result: result.now_cost).now
        best = min([best, *found], key=lambda result: result.best_cost)
    return best


def _polished(pool: WorkerPool, best: Result, seed: int, until: float, cuts: int = 0, scratch: bool = False) -> Result:
    """Improve the result with PyVRP: in parts, divided `cuts` times, or with 0 the whole in every process.

    `scratch`: PyVRP starts from its own first solution.
    """
    random, times = Random(seed), max(1, cuts)
    for n_th in range(times):
        began = time.monotonic()
        end = began + (until - began) / (times - n_th)
        first = Task(best.best, seed * pool.size, 0, 0, end, polish=True, from_scratch=scratch)
        tasks = [replace(first, seed=first.seed + n) for n in range(pool.size)]
        found = _in_parts(pool, tasks, random) if cuts else pool.run(tasks)
        best = min([best, *found], key=lambda result: result.best_cost)
    return best


def _in_parts(pool: WorkerPool, tasks: list[Task], random: Random) -> list[Result]:
    """Divide the fleet, run each task on one part, and return the joined result."""
    parts = regions.cut(pool.fleet, tasks[0].days, pool.size, random)
    return [_joined(pool.run([replace(task, vehicles=v, orders=o) for task, (v, o) in zip(tasks, parts, strict=True)]))]


def _joined(parts: Iterable[Result]) -> Result:
    """Join the results of parts to one of the whole fleet."""
    parts = list(parts)
    return Result(
        {v: trips for part in parts for v, trips in part.now.items()},
        sum(part.now_cost for part in parts),
        {v: trips for part in parts for v, trips in part.best.items()},
        sum(part.best_cost for part in parts),
        sum(part.rounds for part in parts),
    )
