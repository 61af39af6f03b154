"""Hourly housekeeping of a worker: makes and drops parts of the archive and the access log, deletes rows that no record
can need again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from services.kit.context import Context
from services.kit.database import is_transient
from services.kit.http import idempotency
from services.kit.transaction import access_log, inbox, numbering, outbox

PERIOD_S = 3600.0
Prune = Callable[..., Awaitable[int]]
"""Deletes a small batch over a connection and returns its size; 0 means that nothing is left."""
PRUNE: tuple[Prune, ...] = (
    idempotency.prune,
    inbox.prune,
    numbering.forget,
    numbering.keep,
)
_log = structlog.get_logger("halfday.housekeeping")


async def prepare(context: Context) -> None:
    """Make the next days of the archive and the next months of the access log, and drop the oldest. The relay needs
    today's before it archives the first row.
    """
    async with context.unit() as uow:
        await outbox.prepare_archive(uow.conn)
        await access_log.prepare(uow.conn, context.settings.access_log_days)


async def run(context: Context, own: Sequence[Prune] = ()) -> None:
    """Do all of it once an hour until cancelled, with the service's `own`. A step that finds the database away is done
    an hour later.
    """
    while True:
        await _try(prepare(context))
        for prune in (*PRUNE, *own):
            await _try(_exhaust(context, prune))
        await asyncio.sleep(PERIOD_S)


async def _try(step: Awaitable[None]) -> None:
    try:
        await step
    except Exception as error:
        if not is_transient(error):
            raise
        _log.warning("housekeeping waits", error=type(error).__name__)


async def _exhaust(context: Context, prune: Callable[..., Awaitable[int]]) -> None:
    more = 1
    while more:
        async with context.unit() as uow:
            more = await prune(uow.conn)
