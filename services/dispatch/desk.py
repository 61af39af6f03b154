"""The worker's endless task at the dispatcher's desk: plans waves that are cut, ends waves that are over.

Its memory are the rows: a wave whose planner died is found again, and a plan is applied only to the version of the
wave that it was made for. Nothing is solved inside a transaction.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import structlog

from services.dispatch import waves
from services.dispatch.domain.wave import Wave
from services.dispatch.planning import planner
from services.dispatch.planning.plan import Plan
from services.dispatch.repository import DispatchBook
from services.dispatch.repository.planning import claim_wave, ended_waves, read_problem
from services.dispatch.ways import PATIENCE_S, measured
from services.kit.service import Context

LEAST_S, JOB_S, MOST_S = 0.5, 0.05, 5.0
"""What a plan may take: at least this, more for each job, and never more than that."""
LEASE = timedelta(seconds=MOST_S + PATIENCE_S + 5)
IDLE_S = 0.2
_log = structlog.get_logger("halfday.desk")


async def run(context: Context) -> None:
    """Works until cancelled. What fails is logged and tried again: one bad wave does not stop the others."""
    preparing = asyncio.create_task(planner.prepare())
    try:
        while True:
            try:
                if await plan_next(context) or await end_next(context):
                    continue
            except Exception as error:
                _log.warning("the desk tries again", error=type(error).__name__, exc_info=error)
                await asyncio.sleep(1)
            await asyncio.sleep(IDLE_S)
    finally:
        preparing.cancel()


async def plan_next(context: Context) -> bool:
    """Plans one cut wave, if there is one that nobody is at."""
    wave = await claim_wave(context.pool, context.clock.real(), LEASE)
    if wave is None:
        return False
    problem, lost = await read_problem(context.pool, wave)
    if problem and problem.orders:
        plan = await planner.plan(await measured(problem), min(MOST_S, LEAST_S + JOB_S * len(problem.orders)))
    else:
        plan = Plan((), (), 0, "none")
    await _apply(context, wave, replace(plan, unserved=(*plan.unserved, *lost)))
    return True


async def _apply(context: Context, wave: Wave, plan: Plan) -> None:
    async with context.unit(f"{context.service.name}.desk") as uow:
        book = DispatchBook(uow, None)
        await book.lock_waves([wave.id], [wave.market_day])
        await book.lock_jobs("wave", [wave.id])
        await book.read_catalog((), [wave.market_day])
        applied = waves.apply(book, wave.id, wave.version, plan)
        await book.save()
    _log.info("planned", wave=wave.id, applied=applied, planner=plan.planner, stops=plan.stops, metres=plan.metres)


async def end_next(context: Context) -> bool:
    """Ends the released waves whose jobs have all ended, if there are any."""
    ended = await ended_waves(context.pool)
    if ended:
        async with context.unit(f"{context.service.name}.desk") as uow:
            book = DispatchBook(uow, None)
            await book.lock_waves(ended)
            await book.lock_jobs("wave", ended)
            for wave in book.waves.values():
                waves.finish(book, wave)
            await book.save()
    return bool(ended)
