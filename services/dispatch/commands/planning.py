"""Steps of the planning loop: plans cut waves, and inserts late jobs into plans that are not handed out yet.

Nothing is solved inside a transaction: a plan is made first, and applied only if the wave still has the version that
the plan was made for. All state is in the database, so a step that died is repeated by the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from services.dispatch.commands.plan import answer_late_jobs, apply_plan
from services.dispatch.domain.wave import Wave, WaveState
from services.dispatch.planning.plan import Plan, Unserved
from services.dispatch.planning.process import planner as process
from services.dispatch.planning.process.planner import START_S, Choice, Planner
from services.dispatch.repository import WaveRepository, transaction
from services.dispatch.repository.planning import CurrentPlan, WaveProblem, read_current_plan, read_problem
from services.dispatch.repository.store import WaveStore
from services.dispatch.travel_times import TIMEOUT_S, with_travel_times
from services.kit.context import Context
from services.kit.database import is_transient

LEAST_S, JOB_S, MOST_S = 0.5, 0.05, 5.0
"""The seconds of a search: `LEAST_S` and `JOB_S` for each job, at most `MOST_S`; its start is not counted."""
LEASE = timedelta(seconds=MOST_S + START_S + TIMEOUT_S + 5)
RETRY_BLOCKED = timedelta(seconds=2)
"""The time after which a blocked wave is tried again."""
_log = structlog.get_logger("halfday.planning")


async def plan_next_wave(context: Context, planner: Planner = process) -> bool:
    """Plan one cut wave that no other worker has claimed; return false if there is none.

    A wave that cannot be planned is blocked with the reason. Raises transient errors only.
    """
    store: WaveStore = context.store
    wave = await store.claim_wave(context.clock.real(), LEASE)
    if wave is None:
        return False
    try:
        read = await read_problem(store, wave, late=True)
        if read.obstacle and read.excluded:
            await _block(context, wave, read.obstacle)
        else:
            await apply_choice(context, wave, await _search(read, planner))
    except Exception as error:  # any other error blocks this wave alone, so that the next one is planned
        if is_transient(error):
            raise
        _log.error("planning a wave failed", wave=wave.id, exc_info=error)
        await _block(context, wave, f"planning failed ({type(error).__name__}): see the log of dispatch's worker")
    return True


async def answer_next_wave(context: Context, planner: Planner = process) -> bool:
    """Answer the late jobs that wait for the plan of one wave: insert them, or turn them away. Return false if
    there are none, or the wave has changed meanwhile."""
    store: WaveStore = context.store
    wave_id = await store.wave_with_late_jobs()
    current = await read_current_plan(store, wave_id) if wave_id else None
    if current is None:
        return False
    plan = await insert_late_jobs(current, context.clock.now(), planner)
    answered = await change_wave(context, current.wave, plan, answer_late_jobs)
    late = len(current.late) + len(current.excluded)
    _log.info("late jobs", wave=wave_id, answered=answered, late=late, stops=plan.stops)
    return answered


async def insert_late_jobs(current: CurrentPlan, now: datetime, planner: Planner = process) -> Plan:
    """Return the wave's plan with its late jobs inserted; those that do not fit are unserved, with the reason."""
    wave, plan = current.wave, current.plan
    if wave.state is not WaveState.PLANNED or plan is None:
        return _without(current, f"the routes of wave {wave.id} are handed out")
    if current.problem is None:
        return _without(current, current.obstacle)
    if wave.slot_from <= now:
        return _without(current, f"the slot of wave {wave.id} has begun")
    try:
        problem = await with_travel_times(current.problem)
        made = await planner.insert_late(problem, plan, current.late, int(now.timestamp()))
    except Exception as error:  # the late jobs are answered with any error, so that other waves get their turn
        _log.error("inserting late jobs failed", wave=wave.id, exc_info=error)
        return _without(current, f"the plan of wave {wave.id} cannot be changed")
    return current.explained(made)


async def apply_choice(context: Context, wave: Wave, choice: Choice) -> None:
    """Apply a searched plan to its wave and log which plan was chosen, and why."""
    plan = choice.plan
    applied = await change_wave(context, wave, plan, apply_plan)
    figures = {"stops": plan.stops, "metres": plan.metres, "fen": plan.cost_fen, "unserved": len(plan.unserved)}
    _log.info("planned", wave=wave.id, applied=applied, planner=plan.planner, why=choice.why, **figures)


async def change_wave(
    context: Context, wave: Wave, plan: Plan, change: Callable[[WaveRepository, str, int, Plan], bool]
) -> bool:
    """Run `change` under the locks of the wave's plan; return its answer: false if the wave has another version."""
    async with transaction(context) as repository:
        await repository.lock_plan(wave)
        return change(repository, wave.id, wave.version, plan)


async def _search(read: WaveProblem, planner: Planner) -> Choice:
    choice = Choice(Plan((), (), 0, "none"), "no order to plan")
    if read.problem and read.problem.orders:
        seconds = min(MOST_S, LEAST_S + JOB_S * len(read.problem.orders))
        choice = await planner.search(await with_travel_times(read.problem), seconds)
    return replace(choice, plan=replace(choice.plan, unserved=(*choice.plan.unserved, *read.excluded)))


async def _block(context: Context, wave: Wave, reason: str) -> None:
    _log.warning("a wave is blocked", wave=wave.id, reason=reason)
    store: WaveStore = context.store
    await store.block_wave(wave, reason, context.clock.real() + RETRY_BLOCKED)


def _without(current: CurrentPlan, reason: str) -> Plan:
    return Plan((), (*(Unserved(job, reason) for job in current.late), *current.excluded), 0, "none")
