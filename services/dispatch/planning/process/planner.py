"""The planner's port: `plan(problem, budget_s, seed, threads) -> Plan`, in a process of its own, killed when late.

Always returns a valid plan: a greedy one is made while the solver starts. The best of all valid plans is taken, so a
search that is short, late, wrong or dead costs nothing against the greedy plan.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from pydantic import ValidationError

from services.dispatch.planning import checker
from services.dispatch.planning.construct import greedy
from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import RoutingProblem
from services.dispatch.planning.process.solver import JOB, PLAN, SolveJob
from services.dispatch.planning.schedule import assemble

SOLVER = (sys.executable, "-m", "services.dispatch.planning.process.solver")
COMPILER = (sys.executable, "-m", "services.dispatch.planning.search.compile")
START_S = 5.0
"""How long the solver's process may take to start and load, which it does in about 1 s on a free machine."""
GRACE_S, GRACE_PART = 0.05, 0.025
"""How long after its end, the longer of the two, an answer still counts: it is worth more than a stand-in on time."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A plan, and why it was taken among those that there were."""

    plan: Plan
    why: str


async def plan(
    problem: RoutingProblem,
    budget_s: float,
    seed: int = 0,
    threads: int = 1,
    *,
    warm: Plan | None = None,
    iterations: int | None = None,
    start_s: float = START_S,
    solver: Sequence[str] = SOLVER,
) -> Plan:
    """The plan of `choose`."""
    job = SolveJob(problem, budget_s, time.monotonic(), seed, threads, warm, iterations, start_s=start_s)
    return (await choose(job, solver)).plan


async def search(problem: RoutingProblem, budget_s: float) -> Choice:
    """The choice for a wave: one search of so many seconds beside the greedy plan."""
    return await choose(SolveJob(problem, budget_s, time.monotonic(), start_s=START_S))


async def choose(job: SolveJob, solver: Sequence[str] = SOLVER) -> Choice:
    """The best of the searched plan, `warm` and the greedy plan, all without faults, and why it is that one.

    The search has `budget_s` from when it starts. It starts `start_s` from now at the latest; then the answer comes
    within `budget_s` more (and 5 % or 100 ms, whichever is more). The solver is one process at nice 10, which is
    killed with all it has started when it is late or the caller is cancelled. Bounded by `iterations`, equal calls give
    equal plans.
    """
    answer = asyncio.create_task(_answer(job, solver))
    stand_in = asyncio.create_task(asyncio.to_thread(greedy.solve, job.problem))
    patience_s = job.start_s + job.budget_s + max(GRACE_S, GRACE_PART * job.budget_s)
    try:
        await asyncio.wait([answer], timeout=patience_s)
        found = answer.result() if answer.done() else f"the solver did not answer within {patience_s:.1f} s"
        warm = job.warm if job.warm and not await _fault(job, job.warm) else None
        return _best(job, found, warm, await stand_in)
    finally:
        stand_in.cancel()
        answer.cancel()
        with suppress(asyncio.CancelledError):
            await answer


def _best(job: SolveJob, found: Plan | str, warm: Plan | None, stand_in: Plan) -> Choice:
    """The best valid plan; `found` is the searched one, or why there is none."""
    searched = None if isinstance(found, str) else found
    plans = [plan for plan in (searched, warm, stand_in) if plan]
    best = min(plans, key=lambda plan: assemble.worth(job.problem, plan))  # of equal ones the first
    if best is searched:
        return Choice(best, f"searched for {job.budget_s:.1f} s")
    if searched is None:
        return Choice(best, str(found))
    missed = f"{len(best.unserved)} against {len(searched.unserved)} orders left out"
    return Choice(best, f"better than the searched plan: {best.cost_fen} against {searched.cost_fen} fen, {missed}")


async def prepare(nice: int = 0) -> None:
    """Has the search's inner loops compiled if they are not, which later plans gain by. Ends its process when it is
    cancelled. `nice` is for who doesn't wait for it."""
    child = await asyncio.create_subprocess_exec(*COMPILER, str(nice))
    try:
        await child.wait()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def _answer(job: SolveJob, solver: Sequence[str]) -> Plan | str:
    """The solver's plan; why there is none, or none that keeps the rules."""
    try:
        text, code = await _run(solver, JOB.dump_json(job), job.start_s + job.budget_s)
        found = PLAN.validate_json(text)
    except OSError as wrong:  # whatever the solver's trouble is, the wave goes out
        return f"the solver could not be run: {wrong}"
    except ValidationError:
        return f"the solver ended with code {code} and no plan"
    fault = await _fault(job, found)
    return f"the solver's plan breaks a rule: {fault}" if fault else found


async def _fault(job: SolveJob, plan: Plan) -> str | None:
    return next(iter(await asyncio.to_thread(checker.faults, job.problem, plan)), None)


async def _run(solver: Sequence[str], job: bytes, most_s: float) -> tuple[bytes, int | None]:
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        *solver, str(int(most_s) + 1), stdin=pipe, stdout=pipe, start_new_session=True
    )
    try:
        answer, _ = await child.communicate(job)
        return answer, child.returncode
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # with what it has started
        await child.wait()
