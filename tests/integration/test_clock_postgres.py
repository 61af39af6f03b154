"""The business clock through PostgreSQL: readers hear of a segment by NOTIFY, and come back after a lost connection."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from services.kit import database
from services.kit.clock import Clock, Segment
from services.kit.clock_feed import PostgresFeed
from services.kit.settings import Settings
from tests.stack import TestStack, eventually

pytestmark = pytest.mark.stack
DAWN = datetime(2026, 10, 24, 5, tzinfo=UTC)


def _standing(at: datetime) -> Segment:
    return Segment(Clock().real(), at, 1.0, at)


async def test_a_reader_follows_its_own_database_also_after_its_connection_was_lost(stack: TestStack):
    url = await stack.database("orders")
    await database.migrate(Settings(database_url=url), [database.KIT_MIGRATIONS])
    writer, reader = PostgresFeed(url), PostgresFeed(url)
    assert await reader.read() is None
    written = _standing(DAWN)
    await writer.write(written)
    assert await reader.read() == written
    clock = Clock(written)
    following = asyncio.create_task(reader.follow(clock))
    admin = await asyncpg.connect(url)
    try:
        for hours in (1, 2):
            await writer.write(_standing(DAWN + timedelta(hours=hours)))
            await eventually(lambda hours=hours: clock.now() == DAWN + timedelta(hours=hours), 20)
            await admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and query like 'select anchor%' and pid <> pg_backend_pid()"
            )
        await writer.write(_standing(DAWN + timedelta(hours=3)))
        await eventually(lambda: clock.now() == DAWN + timedelta(hours=3), 20)
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await writer.close()
        await admin.close()
