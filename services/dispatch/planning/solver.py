"""The solver process: `python -m services.dispatch.planning.solver SECONDS` reads a `Job` as JSON, writes a plan.

It ends itself after the seconds given, for a parent that was killed can't do it. Without SECONDS it stands by: it
writes an empty line when it has loaded, then a line for each line that it reads, until there are no more.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import Courier, Order, Place, Problem, Window

NICE = 10
MARGIN_S, MARGIN_ORDER_S = 0.01, 0.00005
"""What writing, reading and checking the plan takes at the end of the budget, and for each order."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to solve. `began_s` is the monotonic clock, which processes share, when the budget began to run;
    `iterations` bounds the search instead of the time: then equal jobs give equal bytes."""

    problem: Problem
    budget_s: float
    began_s: float
    seed: int = 0
    threads: int = 1
    warm: Plan | None = None
    iterations: int | None = None


JOB, PLAN = TypeAdapter(Job), TypeAdapter(Plan)


def solve(job: Job) -> Plan:
    """The best plan that the rest of the budget gives: the searched one, the greedy one or `warm`."""
    from services.dispatch.planning import assemble, fleets, greedy, search, timing
    from services.dispatch.planning.model import Model

    if not job.problem.orders or not job.problem.couriers:
        return greedy.solve(job.problem)
    crew = fleets.crew(job.problem)
    warm = crew.by_vehicle(job.problem, job.warm) if job.warm else {}
    found = search.search(crew.fleet, left_s(job), job.seed, warm, job.iterations, job.threads)
    model, days = Model(job.problem), crew.by_courier(found)
    for c, trips in days.items():
        while trips and not timing.times(model, c, trips):
            trips.pop()  # the kernel's clock is the model's; PyVRP knows no cold limits
    plan = greedy.complete(model, days, "halfday")
    return min([plan, *([job.warm] if job.warm else [])], key=lambda plan: assemble.worth(job.problem, plan))


def left_s(job: Job) -> float:
    """The seconds left for the search."""
    margin = MARGIN_S + MARGIN_ORDER_S * len(job.problem.orders)
    return job.budget_s - (time.monotonic() - job.began_s) - margin


def main() -> None:
    """One job, one plan; or jobs and plans line by line."""
    if len(sys.argv) > 1:
        signal.alarm(int(sys.argv[1]))
        job = JOB.validate_json(sys.stdin.buffer.read())
        os.nice(NICE)  # only now: a wave waits for the start
        sys.stdout.buffer.write(PLAN.dump_json(solve(job)))
        return
    here = Place(0, 0)
    small = Problem(here, (Courier("", 1, 0, 0, 9),), (Order("", here, 1, 0, (Window(0, 9),)),), 0)
    solve(Job(small, 1.0, time.monotonic(), iterations=1))  # loads what searching needs
    os.nice(NICE)
    sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(PLAN.dump_json(solve(JOB.validate_json(line))) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
