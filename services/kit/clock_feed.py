"""Transports of a business clock's segments to the processes of a stack: a file, or PostgreSQL.

A service reads business time from memory; a feed keeps that memory current. `HALFDAY_CLOCK` chooses it: empty for real
time, `file:PATH` where the processes share a disk, `postgres` where each reads the table `business_clock` of its own
database, woken by NOTIFY. A reader that loses its feed stops at the latest time of the segment that it knows.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Protocol

import asyncpg
import structlog

from services.kit.clock import Clock, Segment
from services.kit.settings import Settings

FILE, POSTGRES = "file:", "postgres"
CHANNEL = "business_clock"
LOOK_S = 0.02
"""Interval at which a reader checks the file; a stat of an unchanged file costs some 10 us."""
POLL_S = 1.0
"""Time for which a reader waits for a notification before it reads the table anyway."""
_log = structlog.get_logger("halfday.clock")


class ClockFeed(Protocol):
    """One transport of segments."""

    async def read(self) -> Segment | None:
        """Return the segment that was written last; None where there is none yet."""

    async def follow(self, clock: Clock) -> None:
        """Keep the clock on the latest segment until cancelled; waits for a file or database that is away."""

    async def write(self, segment: Segment) -> None:
        """Publish a segment to all readers."""


class FileFeed:
    """Segments in a JSON file, replaced atomically. A reader notices a new one within 20 ms."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._draft = path.with_name(f".{path.name}.{os.getpid()}")

    async def read(self) -> Segment:
        """Return the segment of the file. Raises OSError without a file, ValueError where it has no segment."""
        return Segment.from_json(self._path.read_bytes())

    async def follow(self, clock: Clock) -> None:
        """Check the file at an interval; one that can't be read is checked again."""
        known: tuple[int, int] | None = None
        while True:
            with contextlib.suppress(OSError, ValueError):
                found = self._path.stat()
                if (found.st_ino, found.st_mtime_ns) != known:
                    clock.follow(await self.read())
                    known = found.st_ino, found.st_mtime_ns
            await asyncio.sleep(LOOK_S)

    async def write(self, segment: Segment) -> None:
        """Replace the file. Not synced to disk: a clock has no value after a power cut."""
        self._draft.write_bytes(segment.to_json())
        self._draft.replace(self._path)


class PostgresFeed:
    """Segments in the table `business_clock` of one service's database."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._conn: asyncpg.Connection[asyncpg.Record] | None = None

    async def read(self) -> Segment | None:
        """Return the segment of the table."""
        conn = await self._connect()
        try:
            return await _stored(conn)
        finally:
            await conn.close()

    async def follow(self, clock: Clock) -> None:
        """Listen on a connection of its own, which is opened again for as long as it takes."""
        while True:
            try:
                await self._listen(clock)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                _log.warning("the business clock is unreachable", reason=type(error).__name__)
                await asyncio.sleep(POLL_S)

    async def _listen(self, clock: Clock) -> None:
        conn, woken = await self._connect(), asyncio.Event()
        try:
            await conn.add_listener(CHANNEL, lambda *_: woken.set())
            while True:
                woken.clear()
                if segment := await _stored(conn):
                    clock.follow(segment)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(woken.wait(), POLL_S)
        finally:
            conn.terminate()

    async def write(self, segment: Segment) -> None:
        """Store the segment and notify, in one statement. Raises what the driver raises."""
        if self._conn is None or self._conn.is_closed():
            self._conn = await self._connect()
        await self._conn.execute(
            "with written as (insert into business_clock (anchor, start, speed, latest) values ($1, $2, $3, $4) "
            "on conflict (one) do update set anchor = excluded.anchor, start = excluded.start, "
            "speed = excluded.speed, latest = excluded.latest returning one) "
            "select pg_notify($5, '') from written",
            segment.anchor,
            segment.start,
            segment.speed,
            segment.latest,
            CHANNEL,
        )

    async def close(self) -> None:
        """Close the writer's connection."""
        if self._conn:
            await self._conn.close()

    async def _connect(self) -> asyncpg.Connection[asyncpg.Record]:
        # a segment that a crash takes back is followed by the next, so no write waits for the disk
        return await asyncpg.connect(self._url, timeout=5, server_settings={"synchronous_commit": "off"})


async def _stored(conn: asyncpg.Connection[asyncpg.Record]) -> Segment | None:
    row = await conn.fetchrow("select anchor, start, speed, latest from business_clock")
    return Segment(**dict(row)) if row else None


def feed_of(settings: Settings) -> ClockFeed | None:
    """Return the feed that the settings name; None for real time."""
    if settings.clock == POSTGRES:
        return PostgresFeed(settings.database_url)
    return FileFeed(Path(settings.clock.removeprefix(FILE))) if settings.clock else None
