"""Background loop that plans closed waves, answers late jobs and completes finished waves.

All state is in the database, so a crashed run is resumed by the next one, in this process or another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from services.dispatch.commands.planning import answer_next_wave, plan_next_wave
from services.dispatch.commands.wave import finish_ended_waves
from services.dispatch.planning.process import planner
from services.kit.context import Context

Step = Callable[[Context], Awaitable[bool]]
"""One piece of work; returns false where there was none."""

STEPS: tuple[tuple[Step, ...], ...] = ((plan_next_wave, finish_ended_waves), (answer_next_wave,))
"""The steps of each loop. The loops run side by side, so late jobs need not wait for a search."""
IDLE_S, RETRY_S = 0.2, 1.0
_log = structlog.get_logger("halfday.planning")


async def run(context: Context) -> None:
    """Run the loops until it is cancelled. Meanwhile the search's inner loops are compiled, if they are not yet."""
    preparing = asyncio.create_task(planner.prepare(nice=19))
    try:
        await asyncio.gather(*(_loop(context, steps) for steps in STEPS))
    finally:
        preparing.cancel()


async def _loop(context: Context, steps: tuple[Step, ...]) -> None:
    """Run all steps in turn, again at once while any of them found work. Errors are logged and retried."""
    while True:
        try:
            if any([await step(context) for step in steps]):
                continue
        except Exception as error:
            _log.warning("the planning loop retries", error=type(error).__name__, exc_info=error)
            await asyncio.sleep(RETRY_S)
        await asyncio.sleep(IDLE_S)
