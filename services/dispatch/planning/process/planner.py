"""Planner port: runs the solver in a process of its own and kills it when it is late.

Always returns a valid plan: a greedy fallback is computed meanwhile, and the best of all valid plans is taken. So a
solver that is short of time, late, wrong or crashed never gives a plan worse than the greedy one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from pydantic import ValidationError

from services.dispatch.planning import checker
from services.dispatch.planning.construct import greedy
from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import RoutingProblem
from services.dispatch.planning.process.solver import JOB, PLAN, SolveJob
from services.dispatch.planning.replanning import keep_plan
from services.dispatch.planning.schedule import assemble

SOLVER = (sys.executable, "-m", "services.dispatch.planning.process.solver")
COMPILER = (sys.executable, "-m", "services.dispatch.planning.search.compile")
START_S = 5.0
"""Longest time for the solver process to start and load; it takes about 1 s on a free machine."""
GRACE_S, GRACE_PART = 0.05, 0.025
"""Time after the budget within which an answer still counts, the longer of seconds and part of the budget: it is
better than a fallback on time."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A plan, and the reason why it was chosen."""

    plan: Plan
    why: str


class Planner(Protocol):
    """The port of the planning loop; this module implements it."""

    async def search(self, problem: RoutingProblem, budget_s: float) -> Choice:
        """Choose the plan of a wave within `budget_s` seconds from the start of the search."""

    async def insert_late(self, problem: RoutingProblem, plan: Plan, late: Collection[str], now_s: int) -> Plan:
        """Return the plan with the orders `late` inserted where they fit; see `keep_plan.insert_late`."""


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
    """Return the plan that `choose` chooses."""
    job = SolveJob(problem, budget_s, time.monotonic(), seed, threads, warm, iterations, start_s=start_s)
    return (await choose(job, solver)).plan


async def search(problem: RoutingProblem, budget_s: float) -> Choice:
    """Choose the plan of a wave: one search of `budget_s` seconds beside the greedy plan."""
    return await choose(SolveJob(problem, budget_s, time.monotonic(), start_s=START_S))


async def insert_late(problem: RoutingProblem, plan: Plan, late: Collection[str], now_s: int) -> Plan:
    """Insert late orders into a wave's plan, in a thread; see `keep_plan.insert_late`."""
    made, _ = await asyncio.to_thread(keep_plan.insert_late, problem, plan, late, now_s)
    return made


async def choose(job: SolveJob, solver: Sequence[str] = SOLVER) -> Choice:
    """Return the best valid one of the searched plan, `warm` and the greedy plan, and the reason for it.

    The search has `budget_s` from its start. It starts `start_s` from now at the latest; then the answer comes
    within `budget_s` more (and 5 % or 100 ms, whichever is more). The solver is one process at nice 10, which is
    killed with all it has started when it is late or the caller is cancelled. Bounded by `iterations`, equal calls give
    equal plans.
    """
    answer = asyncio.create_task(_answer(job, solver))
    fallback = asyncio.create_task(asyncio.to_thread(greedy.solve, job.problem))
    deadline_s = job.start_s + job.budget_s + max(GRACE_S, GRACE_PART * job.budget_s)
    try:
        await asyncio.wait([answer], timeout=deadline_s)
        found = answer.result() if answer.done() else f"the solver did not answer within {deadline_s:.1f} s"
        warm = job.warm if job.warm and not await _first_fault(job, job.warm) else None
        return _best(job, found, warm, await fallback)
    finally:
        fallback.cancel()
        answer.cancel()
        with suppress(asyncio.CancelledError):
            await answer


def _best(job: SolveJob, found: Plan | str, warm: Plan | None, fallback: Plan) -> Choice:
    """Return the best valid plan; `found` is the searched one, or the reason that there is none."""
    searched = None if isinstance(found, str) else found
    plans = [plan for plan in (searched, warm, fallback) if plan]
    best = min(plans, key=lambda plan: assemble.sort_key(job.problem, plan))  # of equal ones the first
    if best is searched:
        return Choice(best, f"searched for {job.budget_s:.1f} s")
    if searched is None:
        return Choice(best, str(found))
    missed = f"{len(best.unserved)} against {len(searched.unserved)} orders left out"
    return Choice(best, f"better than the searched plan: {best.cost_fen} against {searched.cost_fen} fen, {missed}")


async def prepare(nice: int = 0) -> None:
    """Compile the search's inner loops if they are not compiled yet; later plans use them.

    Kills its process when it is cancelled. Give `nice` only when no one waits for it.
    """
    child = await asyncio.create_subprocess_exec(*COMPILER, str(nice))
    try:
        await child.wait()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def _answer(job: SolveJob, solver: Sequence[str]) -> Plan | str:
    """Return the solver's plan, or the reason that there is no valid one."""
    try:
        text, code = await _run(solver, JOB.dump_json(job), job.start_s + job.budget_s)
        found = PLAN.validate_json(text)
    except OSError as error:  # the fallback is used
        return f"the solver could not be run: {error}"
    except ValidationError:
        return f"the solver ended with code {code} and no plan"
    fault = await _first_fault(job, found)
    return f"the solver's plan breaks a rule: {fault}" if fault else found


async def _first_fault(job: SolveJob, plan: Plan) -> str | None:
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
            os.killpg(child.pid, signal.SIGKILL)  # with the processes that it has started
        await child.wait()
