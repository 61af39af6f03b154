"""The planner's port: `plan(problem, budget_s, seed, threads) -> Plan`, in a process of its own, killed at its budget.

Whatever becomes of the solver, a plan comes: the greedy plan is made while the solver starts, so that it is ready when
that one is killed, and in nobody's way when it answers. Nothing leaves that the checker has not passed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from pydantic import ValidationError

from services.dispatch.planning import checker, greedy
from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import Problem
from services.dispatch.planning.solver import JOB, PLAN, Job

SOLVER = (sys.executable, "-m", "services.dispatch.planning.solver")
COMPILER = (sys.executable, "-m", "services.dispatch.planning.compiled")
GRACE_S, GRACE_PART = 0.05, 0.025
"""How long after its end, the longer of the two, an answer still counts: it is worth more than a stand-in on time."""


async def plan(
    problem: Problem,
    budget_s: float,
    seed: int = 0,
    threads: int = 1,
    *,
    warm: Plan | None = None,
    iterations: int | None = None,
    solver: Sequence[str] = SOLVER,
) -> Plan:
    """A plan without faults, `budget_s` seconds from now at the latest (and 5 % or 100 ms, whichever is more).

    The solver runs in one process at nice 10, which is killed with all it has started when it is late or the caller
    is cancelled. If it dies, is late or answers with a faulty plan, the greedy plan comes, within 200 ms for 1 000
    orders. `warm` is a plan to begin from. Bounded by `iterations`, equal calls give equal plans.
    """
    job = Job(problem, budget_s, time.monotonic(), seed, threads, warm, iterations)
    answer = asyncio.create_task(_answer(job, solver))
    stand_in = asyncio.create_task(asyncio.to_thread(greedy.solve, problem))
    try:
        await asyncio.wait([answer], timeout=budget_s + max(GRACE_S, GRACE_PART * budget_s))
        found = answer.result() if answer.done() else None
        return found or await stand_in
    finally:
        stand_in.cancel()
        answer.cancel()
        with suppress(asyncio.CancelledError):
            await answer


async def prepare() -> None:
    """Has the search's inner loops compiled if they are not, which later plans gain by. Ends its process when it is
    cancelled."""
    child = await asyncio.create_subprocess_exec(*COMPILER)
    try:
        await child.wait()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def _answer(job: Job, solver: Sequence[str]) -> Plan | None:
    """The solver's plan; None if there is none or it has faults."""
    try:
        text = await _run(solver, JOB.dump_json(job), job.budget_s)
        found = PLAN.validate_json(text)
    except (OSError, ValidationError):
        return None  # whatever the solver's trouble is, the wave goes out
    return None if await asyncio.to_thread(checker.faults, job.problem, found) else found


async def _run(solver: Sequence[str], job: bytes, budget_s: float) -> bytes:
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        *solver, str(int(budget_s) + 1), stdin=pipe, stdout=pipe, start_new_session=True
    )
    try:
        answer, _ = await child.communicate(job)
        return answer
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # with what it has started
        await child.wait()
