"""Gauges that the worker measures every few seconds for `/metrics`: outbox age, dead letters, late deadlines."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import structlog

from services.kit.clock import Clock
from services.kit.consumer import dead_letters
from services.kit.context import Context
from services.kit.database import Pool
from services.kit.telemetry.metrics import (
    DEAD_LETTER_AGE,
    DEAD_LETTERS,
    GAUGES_FAILED,
    MISSING,
    OUTBOX_AGE,
    OVERDUE,
)
from services.kit.transaction import deadlines, outbox
from services.kit.uploads import sessions

EVERY_S = 5.0
Measure: TypeAlias = "Callable[[Pool], Awaitable[None]]"
_log = structlog.get_logger("halfday.gauges")


async def watch(context: Context, own: Sequence[Measure]) -> None:
    """Measure until cancelled; `own` are the service's gauges.

    Each value is measured on its own: one that can't be measured keeps its last value and counts in `SIGNALS_FAILED`,
    the others go on.
    """
    while True:
        await measure(context, own)
        await asyncio.sleep(EVERY_S)


async def measure(context: Context, own: Sequence[Measure] = ()) -> None:
    """Set the gauges from the service's database once, with a few short statements."""
    pool, clock = context.pool, context.clock
    await _try("outbox", _outbox(pool))
    await _try("dead letters", _dead_letters(pool))
    await _try("deadlines", _overdue(pool, clock))
    await _try("missing uploads", _missing(pool))
    for gauge in own:
        await _try(gauge.__name__, gauge(pool))


async def _try(name: str, measuring: Awaitable[None]) -> None:
    try:
        await measuring
    except Exception as error:  # any error: the process works on without this value
        GAUGES_FAILED.inc()
        _log.warning("not measured", gauge=name, error=type(error).__name__)


async def _outbox(pool: Pool) -> None:
    OUTBOX_AGE.set(await outbox.oldest(pool))


async def _dead_letters(pool: Pool) -> None:
    count, age = await dead_letters.waiting(pool)
    DEAD_LETTERS.set(count)
    DEAD_LETTER_AGE.set(age)


async def _overdue(pool: Pool, clock: Clock) -> None:
    OVERDUE.set(await deadlines.lateness(pool, clock.now(), clock.real()))


async def _missing(pool: Pool) -> None:
    found = await sessions.missing(pool)
    MISSING.clear()
    for owner, missing in found.items():
        MISSING.labels(owner).set(missing)
