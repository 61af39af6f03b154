"""The relay publishes the outbox in order: every row at least once, first occurrences in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import asyncpg
import structlog

from services.kit.clock import Clock
from services.kit.consumer import dead_letters
from services.kit.consumer.delivery import Delivery
from services.kit.database import Connection, connect
from services.kit.errors import PublishFailed
from services.kit.relay.publisher import Acked, Publisher
from services.kit.settings import Settings
from services.kit.telemetry import tracing
from services.kit.telemetry.metrics import RELAY_LAG, RELAY_RESTARTS, RELAYED
from services.kit.transaction import outbox
from services.kit.transaction.message import Record
from services.kit.transaction.outbox import OutboxTable
from services.kit.transaction.ports import Ports
from services.kit.transaction.unit_of_work import UnitOfWork

LOCK = 72_001
PAGE = 1_000
POLL_S = 0.1
_DATABASE = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_log = structlog.get_logger("halfday.relay")


class Relay:
    """Publishes the rows of the outbox by id. Of several relays of a service one works, the others wait for its lock.

    `wake` is set in this process after a commit; other processes notify (`outbox.Waker`); a poll every 100 ms covers
    lost wake-ups. A row is archived only after Kafka acknowledged it. After any failure the outbox is read again from
    its first row with a new producer, so readers see first occurrences in order.
    """

    def __init__(
        self,
        service: str,
        settings: Settings,
        wake: asyncio.Event,
        ports: Ports | None = None,
        *,
        open_connection: Callable[[Settings], Awaitable[Connection]] = connect,
        open_publisher: Callable[[Settings], Publisher] = Publisher,
    ) -> None:
        self._consumer = f"{service}.relay"
        self._settings = settings
        self._ports = ports or Ports(Clock())
        self._open_connection, self._open_publisher = open_connection, open_publisher
        self._wake = wake
        self._singles = 0  # rows that are still to be sent one by one, to find the one that is too large

    async def run(self) -> None:
        """Publish until cancelled; waits for a database and a broker that are away, for as long as it takes."""
        while True:
            try:
                await self._own_outbox()
            except (PublishFailed, OSError, TimeoutError, *_DATABASE) as error:
                RELAY_RESTARTS.inc()
                _log.warning("relay restarts", reason=" ".join(str(error).split()) or type(error).__name__)
                await self._ports.tasks.sleep(self._ports.random.uniform(0.2, 0.6))

    async def _own_outbox(self) -> None:
        conn = await self._open_connection(self._settings)
        try:
            # A frozen relay loses its connection and so its lock: a running one is never idle for long.
            await conn.execute("set idle_session_timeout = '60s'")
            # A crash of the server may forget what was archived last: it is in the outbox again and goes out twice,
            # which readers expect. In return no event waits for the disk behind an archived page.
            await conn.execute("set synchronous_commit = off")
            # The table is empty or full within seconds, so its statistics are always wrong; by them the planner would
            # read and sort a whole backlog for each page instead of walking the index.
            await conn.execute("set enable_sort = off")
            # Polled, for a statement that waits would run into its timeout.
            while not await conn.fetchval("select pg_try_advisory_lock($1, $2)", LOCK, outbox.SHARD):
                await self._ports.tasks.sleep(0.25)
            await conn.add_listener(outbox.CHANNEL, lambda *_: self._wake.set())
            async with self._open_publisher(self._settings) as publisher:
                while True:
                    await self._step(conn, publisher)
        finally:
            # Our publisher has stopped by now: the next owner of the lock never sends beside us.
            conn.terminate()

    async def _step(self, conn: Connection, publisher: Publisher) -> None:
        """Publish the rows that wait, then wait for a wake-up."""
        self._wake.clear()
        rows = await self._outbox(conn).page(1 if self._singles else PAGE)
        if rows:
            await self._publish(conn, publisher, rows)
        if self._singles:
            return
        # Every commit from here on, and since the page was read, wakes us.
        await self._ports.tasks.wait(self._wake, POLL_S)

    def _outbox(self, conn: Connection) -> OutboxTable:
        return self._ports.table(OutboxTable, conn)

    async def _publish(self, conn: Connection, publisher: Publisher, rows: Sequence[outbox.Row]) -> None:
        """Publish a page, and of a backlog the pages after it too: while Kafka has one, the page before it is archived
        and the next one read.
        """
        acked: list[Acked] = []
        while rows:
            both = self._send(publisher, rows), self._behind(conn, acked, rows)
            sent, ahead = await self._ports.tasks.both(*both)
            if isinstance(ahead, BaseException):
                raise ahead
            if isinstance(sent, PublishFailed):
                await self._archive(conn, sent.acked)
                if sent.too_large:
                    await self._single_out(conn, rows)
            if isinstance(sent, BaseException):
                raise sent
            self._singles = max(0, self._singles - len(rows))
            rows, acked = ahead, sent
        await self._archive(conn, acked)

    async def _behind(self, conn: Connection, acked: Sequence[Acked], rows: Sequence[outbox.Row]) -> list[outbox.Row]:
        """Archive the page before `rows` and return the one after them, if there may be more."""
        await self._archive(conn, acked)
        return await self._outbox(conn).page(PAGE, rows) if len(rows) == PAGE else []

    async def _archive(self, conn: Connection, acked: Sequence[Acked]) -> None:
        if acked:
            self._ports.crash_point("relay.before_mark")
            await self._outbox(conn).archive(acked)

    async def _send(self, publisher: Publisher, rows: Sequence[outbox.Row]) -> list[Acked]:
        self._ports.crash_point("relay.after_claim")
        read_at = self._ports.monotonic()
        acked = await publisher.send(rows)
        self._ports.crash_point("relay.after_send")
        RELAYED.inc(len(acked))
        RELAY_LAG.set(rows[0].waited_s)
        sent = ((row.topic, row.event_id, row.headers.get("traceparent"), row.waited_s) for row in rows)
        tracing.get().published(sent, read_at)
        return acked

    async def _single_out(self, conn: Connection, rows: Sequence[outbox.Row]) -> None:
        """Find the record that made the broker refuse a whole batch, sending one by one; hold and dead-letter it."""
        if len(rows) > 1:
            self._singles = len(rows)
            return
        row = rows[0]
        record = Record(row.topic, -1, -1, row.key.encode(), row.payload, row.headers)
        delivery = Delivery(record, row.event_id, row.subject, frozenset(), fault="Kafka refuses it as too large")
        async with conn.transaction():
            await outbox.hold(conn, row.id)
            uow = UnitOfWork(conn, self._ports, self._consumer)
            await dead_letters.store(uow, [(delivery, row.subject)])
            await uow.flush()
        self._singles = 0


async def release(conn: Connection, service: str, scope: str) -> int:
    """Let the relay try again the rows of a subject that it holds; return how many."""
    if not await dead_letters.lock(conn, f"{service}.relay", scope):
        return 0
    released = await outbox.release(conn, scope)
    await dead_letters.clear(conn, f"{service}.relay", scope)
    return released
