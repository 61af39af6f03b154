"""Solver process: reads a `SolveJob` as JSON and writes a plan.

Usage: `python -m services.dispatch.planning.process.solver SECONDS`.

It ends itself after SECONDS, as a killed parent can't do it. Without SECONDS it serves jobs until its input ends: it
writes an empty line when it has loaded, then one line for each line that it reads.
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
"""Seconds for timing, writing, reading and checking the plan at the end of the budget: fixed and for each order. At
most this part of the budget, on a machine with other work."""
FOCUS_MARGIN_S, FOCUS_MARGIN_ORDER_S = 0.005, 0.00002
"""The same for a search for one order in a process that is loaded already."""


@dataclass(frozen=True, slots=True)
class SolveJob:
    """A problem to solve.

    The budget runs from the start of the search, at most `start_s` after `began_s` on the monotonic clock, which
    processes share. `iterations` bounds the search instead of the time: then equal jobs give equal bytes.
    """

    problem: RoutingProblem
    budget_s: float
    began_s: float
    seed: int = 0
    threads: int = 1
    warm: Plan | None = None
    iterations: int | None = None
    focus: str | None = None
    """The order that the search is for; half of its work is around it."""
    start_s: float = 0.0


JOB, PLAN = TypeAdapter(SolveJob), TypeAdapter(Plan)


def begun(job: SolveJob, now_s: float) -> SolveJob:
    """Return the job with its budget running from now, or from the end of its time for starting."""
    return replace(job, began_s=min(now_s, job.began_s + job.start_s))


def solve(job: SolveJob) -> Plan:
    """Return the better of `warm` and the plan found in the rest of the budget. The caller compares the greedy plan."""
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
    return min([plan, *([job.warm] if job.warm else [])], key=lambda plan: assemble.sort_key(job.problem, plan))


def left_s(job: SolveJob, slowness: float) -> float:
    """Return the seconds left for the search. `slowness` is the wall time of a second of CPU: 1 on a free core."""
    fixed, order = (FOCUS_MARGIN_S, FOCUS_MARGIN_ORDER_S) if job.focus else (MARGIN_S, MARGIN_ORDER_S)
    margin = (fixed + order * len(job.problem.orders)) * max(1.0, slowness)
    return job.budget_s - (time.monotonic() - job.began_s) - min(margin, MOST_MARGIN * job.budget_s)


def main() -> None:
    """Solve one job, or jobs line by line."""
    if len(sys.argv) > 1:
        signal.alarm(int(sys.argv[1]))
        job = JOB.validate_json(sys.stdin.buffer.read())
        _load()
        job = begun(job, time.monotonic())
        os.nice(NICE)  # only now, as a wave waits for the start
        sys.stdout.buffer.write(PLAN.dump_json(solve(job)))
        sys.stdout.buffer.flush()
        os._exit(0)  # skips the slow interpreter shutdown
    _load()
    os.nice(NICE)
    sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(PLAN.dump_json(solve(JOB.validate_json(line))) + b"\n")
        sys.stdout.buffer.flush()


def _load() -> None:
    """Load all that a search needs, by a small one."""
    here = Place(0, 0)
    small = RoutingProblem(here, (Courier("", 1, 0, 0, 9),), (Order("", here, 1, 0, (Window(0, 9),)),), 0)
    solve(SolveJob(small, 1.0, time.monotonic(), iterations=1))


if __name__ == "__main__":
    main()
