"""The planner's port: `plan(problem, budget_s) -> Plan`, in a process of its own that is killed at its budget.

Whatever becomes of the solver, the greedy plan comes instead of a stuck wave.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from pydantic import ValidationError

from services.dispatch.planning import checker, greedy
from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import Problem
from services.dispatch.planning.solver import PLAN, PROBLEM

SOLVER = (sys.executable, "-m", "services.dispatch.planning.solver")


async def plan(problem: Problem, budget_s: float, solver: Sequence[str] = SOLVER) -> Plan:
    """A plan without faults, at most `budget_s` seconds and a greedy run later.

    The solver process is `nice` and is killed when it is late or when the caller is cancelled. If it dies, is late
    or answers with a faulty plan, the greedy plan is made in a thread.
    """
    try:
        text = await asyncio.wait_for(_run(solver, PROBLEM.dump_json(problem), budget_s), budget_s)
        found = PLAN.validate_json(text)
        if not await asyncio.to_thread(checker.faults, problem, found):
            return found
    except (TimeoutError, OSError, ValidationError):
        pass  # whatever the solver's trouble is, the wave goes out
    return await asyncio.to_thread(greedy.solve, problem)


async def _run(solver: Sequence[str], problem: bytes, budget_s: float) -> bytes:
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(*solver, str(int(budget_s) + 1), stdin=pipe, stdout=pipe)
    try:
        answer, _ = await child.communicate(problem)
        return answer
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
