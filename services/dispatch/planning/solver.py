"""The solver process: `python -m services.dispatch.planning.solver SECONDS` reads a `Job` as JSON, writes a plan.

It ends itself after the seconds given, for a parent that was killed can't do it.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import Problem

NICE = 10
MARGIN_S, MARGIN_ORDER_S = 0.05, 0.0001
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
    """The best plan that the rest of the budget gives."""
    from services.dispatch.planning import greedy

    return greedy.solve(job.problem)


def left_s(job: Job) -> float:
    """The seconds left for the search."""
    margin = MARGIN_S + MARGIN_ORDER_S * len(job.problem.orders)
    return job.budget_s - (time.monotonic() - job.began_s) - margin


def main() -> None:
    """One job, one plan."""
    signal.alarm(int(sys.argv[1]))
    job = JOB.validate_json(sys.stdin.buffer.read())
    os.nice(NICE)  # only now: a wave waits for the start
    sys.stdout.buffer.write(PLAN.dump_json(solve(job)))


if __name__ == "__main__":
    main()
