"""The solver process reads a `SolveJob` as JSON and writes a plan.

Usage: `python -m services.dispatch.planning.process.solver SECONDS`.

It ends itself after the seconds given, for a parent that was killed can't do it. Without SECONDS it stands by: it
writes an empty line when it has loaded, then a line for each line that it reads, until there are no more.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import Courier, Order, Place, RoutingProblem, Window

NICE = 10
MARGIN_S, MARGIN_ORDER_S, MOST_MARGIN = 0.02, 0.0001, 0.3
"""What timing, writing, reading and checking the plan takes at the end of the budget, and for each order; at most this
part of the budget, where others have the cores."""
FOCUS_MARGIN_S, FOCUS_MARGIN_ORDER_S = 0.005, 0.00002
"""The same of a search for one order, which nobody else shares the process with."""


@dataclass(frozen=True, slots=True)
class SolveJob:
    """What to solve. The budget runs from the moment when the search starts, at most `start_s` after `began_s` on the
    monotonic clock, which processes share. `iterations` bounds the search instead of the time: then equal jobs give
    equal bytes."""

    problem: RoutingProblem
    budget_s: float
    began_s: float
    seed: int = 0
    threads: int = 1
    warm: Plan | None = None
    iterations: int | None = None
    focus: str | None = None
    """The order that the search is for, with most of its work around it."""
    start_s: float = 0.0


JOB, PLAN = TypeAdapter(SolveJob), TypeAdapter(Plan)


def begun(job: SolveJob, now_s: float) -> SolveJob:
    """The job with its budget running from now, or from when its allowance for the start was used up."""
    return replace(job, began_s=min(now_s, job.began_s + job.start_s))


def solve(job: SolveJob) -> Plan:
    """The better of `warm` and the plan found in the rest of the budget. The greedy plan is compared by the caller."""
    from services.dispatch.planning.construct import greedy
    from services.dispatch.planning.schedule import assemble, timing
    from services.dispatch.planning.schedule.columns import Columns
    from services.dispatch.planning.search import fleets, search

    if not job.problem.orders or not job.problem.couriers:
        return greedy.solve(job.problem)
    began, worked = time.monotonic(), time.process_time()
    crew = fleets.crew(job.problem, job.focus)
    warm = crew.by_vehicle(job.problem, job.warm) if job.warm else {}
    slowness = (time.monotonic() - began) / (time.process_time() - worked + 1e-6)
    found = search.search(crew.fleet, left_s(job, slowness), job.seed, warm, job.iterations, job.threads)
    columns, days = Columns(job.problem), crew.by_courier(found)
    for c, trips in days.items():
        while trips and not timing.times(columns, c, trips):
            trips.pop()  # the kernel keeps the same times; PyVRP has no cold limits, so its trips may break one
    plan = greedy.complete(columns, days, "halfday")
    return min([plan, *([job.warm] if job.warm else [])], key=lambda plan: assemble.worth(job.problem, plan))


def left_s(job: SolveJob, slowness: float) -> float:
    """The seconds left for the search, when all takes `slowness` times as long as it would on a core of its own."""
    fixed, order = (FOCUS_MARGIN_S, FOCUS_MARGIN_ORDER_S) if job.focus else (MARGIN_S, MARGIN_ORDER_S)
    margin = (fixed + order * len(job.problem.orders)) * max(1.0, slowness)
    return job.budget_s - (time.monotonic() - job.began_s) - min(margin, MOST_MARGIN * job.budget_s)


def main() -> None:
    """One job, one plan; or jobs and plans line by line."""
    if len(sys.argv) > 1:
        signal.alarm(int(sys.argv[1]))
        job = JOB.validate_json(sys.stdin.buffer.read())
        _load()
        job = begun(job, time.monotonic())
        os.nice(NICE)  # only now: a wave waits for the start
        sys.stdout.buffer.write(PLAN.dump_json(solve(job)))
        sys.stdout.buffer.flush()
        os._exit(0)  # to take all apart that was loaded takes a while
    _load()
    os.nice(NICE)
    sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(PLAN.dump_json(solve(JOB.validate_json(line))) + b"\n")
        sys.stdout.buffer.flush()


def _load() -> None:
    """Loads what a search needs, by a small one."""
    here = Place(0, 0)
    small = RoutingProblem(here, (Courier("", 1, 0, 0, 9),), (Order("", here, 1, 0, (Window(0, 9),)),), 0)
    solve(SolveJob(small, 1.0, time.monotonic(), iterations=1))


if __name__ == "__main__":
    main()
