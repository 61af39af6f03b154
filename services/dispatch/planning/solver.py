"""The solver process: `python -m services.dispatch.planning.solver SECONDS` reads a problem as JSON, writes a plan.

It imports little, so that starting it costs less than a wave's planning; a better solver goes into `solve`.
"""

from __future__ import annotations

import os
import signal
import sys

from pydantic import TypeAdapter

from services.dispatch.planning import greedy
from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import Problem

PROBLEM, PLAN = TypeAdapter(Problem), TypeAdapter(Plan)
NICE = 10


def solve(problem: Problem) -> Plan:
    """The best planner there is for the problem."""
    return greedy.solve(problem)


def main() -> None:
    """One problem, one plan. Ends itself after the seconds given, for a parent that was killed can't do it."""
    signal.alarm(int(sys.argv[1]))
    problem = PROBLEM.validate_json(sys.stdin.buffer.read())
    os.nice(NICE)  # only now: a wave waits for the start
    sys.stdout.buffer.write(PLAN.dump_json(solve(problem)))


if __name__ == "__main__":
    main()
