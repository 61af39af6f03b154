"""Background tasks of access: signing keys are made and rotated, outdated states published, expired rows deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from services.access.commands.access import Access, open_access
from services.access.commands.publish import publish_outdated
from services.access.commands.signing import keep_keys
from services.kit.context import Context
from services.kit.database import is_transient

KEYS_S, PRUNE_S, RETRY_S = 60.0, 300.0, 1.0
_log = structlog.get_logger("halfday.access")


async def keys(context: Context) -> None:
    """Keep the signing keys until cancelled: make the first ones at once, rotate after 30 days. Before that, publish
    what the version of access before this one did not publish.
    """
    access = open_access(context)
    await _persist(access, _catch_up)
    await _repeat(access, keep_keys, KEYS_S)


async def prune(context: Context) -> None:
    """Delete expired rows in small batches until cancelled."""
    await _repeat(open_access(context), _prune, PRUNE_S)


async def _prune(access: Access) -> None:
    more = 1
    while more:
        async with access.context.unit() as uow:
            more = max((await uow.store.prune(access.now)).values(), default=0) // 1000


async def _catch_up(access: Access) -> None:
    if published := await publish_outdated(access.context):
        _log.info("states were published again", count=published)


async def _repeat(access: Access, step: Callable[[Access], Awaitable[object]], seconds: float) -> None:
    while True:
        await _persist(access, step)
        await asyncio.sleep(seconds)


async def _persist(access: Access, step: Callable[[Access], Awaitable[object]]) -> None:
    while True:
        try:
            await step(access)
            return
        except Exception as error:
            if not is_transient(error):
                raise
            _log.warning("the database is away", error=type(error).__name__)
            await asyncio.sleep(RETRY_S)
