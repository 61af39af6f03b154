"""The outbox: events as rows of the business transaction, and the archive of what Kafka acknowledged.

Order: a row's id is taken after the lock on its subject's number (and after the head row of its key, which the
writer locked first), so per key the order of ids is the order of commits.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import asyncpg
import orjson

from contracts.envelope import Headers
from services.kit.database import Connection, Reader
from services.kit.errors import TooLarge
from services.kit.transaction import numbering

# The broker's default max.message.bytes (1 048 588) less 10 %, for framing and for data that a codec makes larger.
LIMIT = 943_000
CHANNEL = "outbox"
SHARD = 0
"""The value of the column `lane` in all rows: one relay publishes the whole outbox."""
KEEP_DAYS = 60
ARCHIVE_LOCK = 72_002


class Outgoing(NamedTuple):
    """A row to write: headers without `ce_seq`, which `write` adds. A payload of None is a tombstone."""

    topic: str
    key: str
    subject: str
    event_id: UUID
    headers: Headers
    payload: bytes | None


def _check_size(row: Outgoing) -> None:
    size = len(row.key) + len(row.payload or b"") + sum(len(k) + len(v) + 4 for k, v in row.headers.items())
    if size > LIMIT:
        raise TooLarge(f"{row.headers.get('ce_type')} about {row.subject} is {size} bytes; the limit is {LIMIT}")


class Row(NamedTuple):
    """A queued row as the relay sends it; `waited_s` is its age when it was read."""

    id: int
    topic: str
    key: str
    subject: str
    event_id: UUID
    headers: Headers
    payload: bytes | None
    waited_s: float


class OutboxTable:
    """The rows that wait for the relay, and the archive."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn

    async def write(self, rows: Sequence[Outgoing]) -> None:
        """Write rows in order and number them per topic and subject, in two statements for any number of rows.

        Call it last in a transaction. Raises `TooLarge` before writing anything.
        """
        if not rows:
            return
        for row in rows:
            # Headers are short: the subject is part of an index key.
            if len(row.payload or b"") > LIMIT // 2:
                _check_size(row)
        counts = Counter((row.topic, row.subject) for row in rows)
        lasts = await numbering.advance(self.conn, counts)
        numbers = {pair: iter(range(lasts[pair] - count + 1, lasts[pair] + 1)) for pair, count in counts.items()}
        seqs = [next(numbers[row.topic, row.subject]) for row in rows]
        await self.conn.execute(
            "insert into outbox (topic, key, subject, seq, event_id, headers, payload) "
            "select t, k, s, q, e, h::jsonb, p from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], "
            "$5::uuid[], $6::text[], $7::bytea[]) with ordinality as r(t, k, s, q, e, h, p, n) order by n",
            [row.topic for row in rows],
            [row.key for row in rows],
            [row.subject for row in rows],
            seqs,
            [row.event_id for row in rows],
            [orjson.dumps(row.headers | {"ce_seq": str(seq)}).decode() for row, seq in zip(rows, seqs, strict=True)],
            [row.payload for row in rows],
        )

    async def page(self, limit: int, but: Sequence[Row] = ()) -> list[Row]:
        """Return the first rows of the outbox, in order; without held rows and those behind one, and without `but`.

        Rows that are being sent are left out by their ids: rows before the last of them may have been committed since.
        """
        rows = await self.conn.fetch(
            "select id, topic, key, subject, event_id, headers, payload, "
            "extract(epoch from clock_timestamp() - created_at)::float as waited_s from outbox o "
            "where lane = $3 and not held and id <> all($2::bigint[]) and not exists (select from outbox h "
            "where h.held and h.topic = o.topic and h.subject = o.subject) order by id limit $1",
            limit,
            [row.id for row in but],
            SHARD,
        )
        return [
            Row(id, topic, key, subject, event_id, orjson.loads(headers), payload, waited_s)
            for id, topic, key, subject, event_id, headers, payload, waited_s in rows
        ]

    async def archive(self, acked: Sequence[tuple[int, int, int]]) -> None:
        """Move the rows with these (id, partition, offset) to the archive in one statement."""
        await self.conn.execute(
            "with gone as (delete from outbox o using unnest($1::bigint[], $2::int[], $3::bigint[]) "
            "as a(id, partition, position) where o.id = a.id returning o.*, a.partition, a.position) "
            "insert into outbox_sent (id, lane, topic, key, subject, seq, event_id, headers, payload, created_at, "
            'partition, "offset") select id, lane, topic, key, subject, seq, event_id, headers, payload, created_at, '
            "partition, position from gone",
            *map(list, zip(*acked, strict=True)),
        )


async def oldest(conn: Reader) -> float:
    """Return the age in seconds of the oldest row that Kafka has not acknowledged; 0 when none waits."""
    # By id, not by the smallest time: a backlog of hours must not be scanned each time.
    age = await conn.fetchval(
        "select extract(epoch from clock_timestamp() - created_at)::float from outbox order by id limit 1"
    )
    return age or 0.0


async def hold(conn: Connection, id: int) -> None:
    """Hold a row that the broker refuses; later rows of its subject wait behind it."""
    await conn.execute("update outbox set held = true where id = $1", id)


async def release(conn: Connection, subject: str) -> int:
    """Release the subject's held rows to be sent again, in their order; return how many."""
    done: str = await conn.execute("update outbox set held = false where held and subject = $1", subject)
    return int(done.split()[-1])


async def drop(conn: Connection, event_id: UUID) -> None:
    """Delete a held row."""
    await conn.execute("delete from outbox where held and event_id = $1", event_id)


async def prepare_archive(conn: Connection, today: date | None = None) -> None:
    """Make the archive's days up to the day after tomorrow (UTC) and drop those older than 60 days. Repeatable; call it
    in a transaction, so that two workers do it one after the other.
    """
    await conn.execute("select pg_advisory_xact_lock($1)", ARCHIVE_LOCK)
    today = today or datetime.now(UTC).date()
    for day in (today + timedelta(days=n) for n in range(-1, 3)):
        await conn.execute(
            f"create table if not exists {_partition(day)} partition of outbox_sent "
            f"for values from ('{day} 00:00+00') to ('{day + timedelta(days=1)} 00:00+00')"
        )
    oldest = _partition(today - timedelta(days=KEEP_DAYS))
    for row in await conn.fetch(
        "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'outbox_sent'::regclass"
    ):
        if row["name"] < oldest:
            await conn.execute(f"drop table {row['name']}")


def _partition(day: date) -> str:
    return f"outbox_sent_{day:%Y%m%d}"


async def republish(conn: Connection, topic: str, partition: int, offset: int) -> int:
    """Move the archived rows of a partition from `offset` on back into the outbox; return how many rows.

    For a log that lost its end or its disk: readers drop the events that they know by id.
    """
    done: str = await conn.execute(
        'with back as (delete from outbox_sent where topic = $1 and partition = $2 and "offset" >= $3 returning *) '
        "insert into outbox (id, lane, topic, key, subject, seq, event_id, headers, payload, created_at) "
        "overriding system value select id, lane, topic, key, subject, seq, event_id, headers, payload, created_at "
        "from back on conflict (id) do nothing",
        topic,
        partition,
        offset,
    )
    return int(done.split()[-1])


# The internal error: the server died while the driver did not notice that the connection was lost.
_LOST = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class Waker:
    """Wakes the relay of another process: call it after a commit. The first call notifies at once, then at most one
    NOTIFY per 5 ms follows, on a connection of its own: a NOTIFY in the business transaction would make commits
    wait for each other. A lost one costs the relay's poll interval.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._requested = asyncio.Event()

    def __call__(self) -> None:
        """Request a wake-up; never blocks, never raises."""
        self._requested.set()

    async def run(self) -> None:
        """Send the wake-ups until cancelled; reconnects for as long as it takes."""
        while True:
            with contextlib.suppress(*_LOST):
                await self._serve()
            await asyncio.sleep(1)

    async def _serve(self) -> None:
        # A notification is a transaction with a number; its commit would wait for the disk.
        conn = await asyncpg.connect(self._dsn, timeout=5, server_settings={"synchronous_commit": "off"})
        try:
            while True:
                await self._requested.wait()
                self._requested.clear()
                await conn.execute(f"notify {CHANNEL}")
                await asyncio.sleep(0.005)
        finally:
            conn.terminate()
