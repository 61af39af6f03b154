"""The worker's endless task at the dispatcher's desk: plans waves that are cut, answers late jobs, ends waves.

All state is in the rows: a wave whose planner died is found again, and a plan is applied only to the version of the
wave that it was made for. A wave that can't be planned is blocked: its row says why, and it is tried again. Nothing is
solved inside a transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from services.dispatch.commands import waves
from services.dispatch.domain.wave import Wave, WaveState
from services.dispatch.planning.plan import Plan, Unserved
from services.dispatch.planning.process import planner
from services.dispatch.planning.process.planner import START_S, Choice
from services.dispatch.planning.replanning import keep_plan
from services.dispatch.repository import WaveRepository
from services.dispatch.repository.planning import (
    Standing,
    WaveProblem,
    block_wave,
    claim_wave,
    ended_waves,
    read_problem,
    read_standing,
    waited_for,
)
from services.dispatch.travel_times import PATIENCE_S, measured
from services.kit.context import Context
from services.kit.database import is_transient

LEAST_S, JOB_S, MOST_S = 0.5, 0.05, 5.0
"""What a search may take: at least this, more for each job, and never more than that. The start comes on top."""
LEASE = timedelta(seconds=MOST_S + START_S + PATIENCE_S + 5)
AGAIN = timedelta(seconds=2)
"""How long a blocked wave waits until it is tried again."""
IDLE_S = 0.2
_log = structlog.get_logger("halfday.desk")


async def run(context: Context) -> None:
    """Works until cancelled, at plans and at late jobs side by side, so that these needn't wait for a search."""
    preparing = asyncio.create_task(planner.prepare(nice=19))
    try:
        await asyncio.gather(_endless(context, plan_next, end_next), _endless(context, answer_next))
    finally:
        preparing.cancel()


async def _endless(context: Context, *steps: Callable[[Context], Awaitable[bool]]) -> None:
    """Takes all steps in turn, again at once while any has something to do. What fails is logged and tried again."""
    while True:
        try:
            if any([await step(context) for step in steps]):
                continue
        except Exception as error:
            _log.warning("the desk tries again", error=type(error).__name__, exc_info=error)
            await asyncio.sleep(1)
        await asyncio.sleep(IDLE_S)


async def plan_next(context: Context) -> bool:
    """Plans one cut wave, if there is one that nobody is at; blocks it with the reason where that can't be done."""
    wave = await claim_wave(context.pool, context.clock.real(), LEASE)
    if wave is None:
        return False
    try:
        read = await read_problem(context.pool, wave, late=True)
        if read.obstacle and read.lost:
            await _block(context, wave, read.obstacle)
        else:
            await _apply(context, wave, await _solved(read))
    except Exception as error:  # whatever it is, this wave says so and others get their turn
        if is_transient(error):
            raise
        _log.error("a wave can't be planned", wave=wave.id, exc_info=error)
        await _block(context, wave, f"planning failed ({type(error).__name__}): see the log of dispatch's worker")
    return True


async def _solved(read: WaveProblem) -> Choice:
    made = Choice(Plan((), (), 0, "none"), "no order to plan")
    if read.problem and read.problem.orders:
        seconds = min(MOST_S, LEAST_S + JOB_S * len(read.problem.orders))
        made = await planner.search(await measured(read.problem), seconds)
    return replace(made, plan=replace(made.plan, unserved=(*made.plan.unserved, *read.lost)))


async def _block(context: Context, wave: Wave, reason: str) -> None:
    _log.warning("a wave is blocked", wave=wave.id, reason=reason)
    await block_wave(context.pool, wave, reason, context.clock.real() + AGAIN)


async def _apply(context: Context, wave: Wave, made: Choice) -> None:
    plan = made.plan
    applied = await _write(context, wave, plan, waves.apply)
    figures = {"stops": plan.stops, "metres": plan.metres, "fen": plan.cost_fen, "unserved": len(plan.unserved)}
    _log.info("planned", wave=wave.id, applied=applied, planner=plan.planner, why=made.why, **figures)


async def answer_next(context: Context) -> bool:
    """Answers the late jobs that wait for the plan of one wave, if there are any: fits them in, or turns them away."""
    wave = await waited_for(context.pool)
    found = await read_standing(context.pool, wave) if wave else None
    if found is None:
        return False
    plan = await _fitted(found, context.clock.now())
    answered = await _write(context, found.wave, plan, waves.answer)
    _log.info("late jobs", wave=wave, answered=answered, asked=len(found.late) + len(found.lost), stops=plan.stops)
    return answered


async def _fitted(found: Standing, now: datetime) -> Plan:
    """The wave's plan with its late jobs in it, or with the reason why not."""
    wave, plan, late = found.wave, found.plan, found.late
    if wave.state is not WaveState.PLANNED or plan is None:
        return _without(found, f"the routes of wave {wave.id} are handed out")
    if found.problem is None:
        return _without(found, found.obstacle)
    if wave.slot_from <= now:
        return _without(found, f"the slot of wave {wave.id} has begun")
    try:
        problem = await measured(found.problem)
        made, _ = await asyncio.to_thread(keep_plan.fitted, problem, plan, late, int(now.timestamp()))
    except Exception as wrong:  # whatever it is, who waits gets an answer, and other waves their turn
        _log.error("a late job can't be fitted in", wave=wave.id, exc_info=wrong)
        return _without(found, f"the plan of wave {wave.id} can't be changed")
    return found.explained(made)


def _without(found: Standing, reason: str) -> Plan:
    return Plan((), (*(Unserved(job, reason) for job in found.late), *found.lost), 0, "none")


async def _write(
    context: Context, wave: Wave, plan: Plan, change: Callable[[WaveRepository, str, int, Plan], bool]
) -> bool:
    """Changes the wave under the locks, if it is still the one that the plan was made for."""
    async with context.unit(f"{context.service}.desk") as uow:
        book = WaveRepository(uow, None)
        await book.lock_plan(wave)
        changed = change(book, wave.id, wave.version, plan)
        await book.save()
    return changed


async def end_next(context: Context) -> bool:
    """Ends the released waves whose jobs have all ended, if there are any."""
    ended = await ended_waves(context.pool)
    if ended:
        async with context.unit(f"{context.service}.desk") as uow:
            book = WaveRepository(uow, None)
            await book.lock_waves(ended)
            await book.lock_jobs_of(ended)
            for wave in book.waves.values():
                waves.finish(book, wave)
            await book.save()
    return bool(ended)
