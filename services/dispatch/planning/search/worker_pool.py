"""Runs searches in parallel in this process and forked ones, which inherit the fleet and receive only tasks."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType

from services.dispatch.planning.search import fleets
from services.dispatch.planning.search.kernel.fleet import Fleet
from services.dispatch.planning.search.kernel.tours import COST
from services.dispatch.planning.search.ruin_recreate import Days, Search, days_of

POLISH_STEP_S = 0.0001
"""Seconds that PyVRP may take from one look at the clock to its end, for each order."""


@dataclass(frozen=True, slots=True)
class Task:
    """A search to run: anneal `days` from heat `hot` to `cold` until `until_s` of the monotonic clock, or for a number
    of rounds, on the given vehicles and orders or on all."""

    days: Days
    seed: int
    hot: float
    cold: float
    until_s: float
    rounds: int | None = None
    vehicles: tuple[int, ...] | None = None
    orders: tuple[int, ...] = ()
    polish: bool = False  # search with PyVRP instead of annealing
    from_scratch: bool = False  # PyVRP starts from its own first solution


@dataclass(frozen=True, slots=True)
class Result:
    """The current and the best days of a task. Costs include the skip costs of the task's orders."""

    now: Days
    now_cost: int
    best: Days
    best_cost: int
    rounds: int


def run(fleet: Fleet, task: Task) -> Result:
    """Run the task."""
    began = time.monotonic()
    days, whole = task.days, task.vehicles is None
    vehicles, orders = task.vehicles or (), (0, *task.orders)
    if not whole:
        fleet = fleets.part(fleet, vehicles, task.orders)
        number = {order: n for n, order in enumerate(orders)}
        days = {n: [[number[order] for order in trip] for trip in days[v]] for n, v in enumerate(vehicles) if v in days}
    if task.polish:
        days = _polished(fleet, task, days)
    one = Search(fleet, task.seed, days)
    if task.rounds is not None:
        one.cool_rounds(task.hot, task.cold, task.rounds)
    elif not task.polish:
        length = max(1e-6, task.until_s - began)
        one.cool(task.hot, task.cold, lambda: 1 - (task.until_s - time.monotonic()) / length)
    found = days_of(one.now), one.days()
    if not whole:
        found = _to_whole(found[0], vehicles, orders), _to_whole(found[1], vehicles, orders)
    return Result(found[0], int(one.now.totals[COST]), found[1], one.cost, one.rounds)


def _polished(fleet: Fleet, task: Task, days: Days) -> Days:
    from services.dispatch.planning.search import pyvrp_solver

    until = task.until_s - POLISH_STEP_S * fleet.orders
    return pyvrp_solver.search(fleet, task.seed, lambda: time.monotonic() >= until, days, task.from_scratch)


def _to_whole(days: Days, vehicles: Sequence[int], orders: Sequence[int]) -> Days:
    return {vehicles[n]: [[orders[i] for i in trip] for trip in trips] for n, trips in days.items()}


class WorkerPool:
    """A context of `size` processes, with this one. The others end with the context, or when this process ends."""

    def __init__(self, fleet: Fleet, size: int) -> None:
        self.fleet, self.size = fleet, size
        self._others: list[tuple[BaseProcess, Connection]] = []

    def __enter__(self) -> WorkerPool:
        context = multiprocessing.get_context("fork")
        for _ in range(self.size - 1):
            ours, theirs = context.Pipe()
            child = context.Process(target=_serve, args=(self.fleet, ours, theirs), daemon=True)
            child.start()
            theirs.close()
            self._others.append((child, ours))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child, _ in self._others:
            child.kill()
            child.join()

    def run(self, tasks: Sequence[Task]) -> list[Result]:
        """Run the tasks in parallel, no more of them than processes; return their results in order."""
        for (_, pipe), task in zip(self._others, tasks[1:], strict=False):
            pipe.send(task)
        first = run(self.fleet, tasks[0])
        return [first, *(pipe.recv() for _, pipe in self._others[: len(tasks) - 1])]


def _serve(fleet: Fleet, others: Connection, pipe: Connection) -> None:
    others.close()  # else this process would not notice that its parent ended
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nor would the reader of its parent's output
    with suppress(EOFError, BrokenPipeError):
        while True:
            pipe.send(run(fleet, pipe.recv()))
