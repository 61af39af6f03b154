"""One transaction of a service: its effects, its deadlines, and the events that tell of them, all or nothing."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg

from contracts.envelope import Envelope, Event, Headers
from contracts.readers import NOBODY, READERS
from services.kit.clock import Clock
from services.kit.faults import point
from services.kit.ids import Namespace, new_id
from services.kit.telemetry import tracing
from services.kit.transaction import deadlines, outbox
from services.kit.transaction.message import ERASED, Message

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
CAUSED = Namespace("caused")
# What a request is known by, and its W3C trace parent; the HTTP edge sets them for the events of its commands.
CORRELATION: ContextVar[str | None] = ContextVar("correlation", default=None)
TRACEPARENT: ContextVar[str | None] = ContextVar("traceparent", default=None)


class CommitUnknown(ConnectionError):
    """The connection was lost at COMMIT: the transaction is either wholly there or wholly absent. Ask again with
    the same key or id."""


class UnitOfWork:
    """Collects what one transaction tells the world and writes it as the last thing before COMMIT.

    Made by `begin`. Writers lock the head rows of what they change first, through the book.
    """

    def __init__(self, conn: outbox.Connection, clock: Clock, consumer: str) -> None:
        self.conn = conn
        self.clock = clock
        self.consumer = consumer
        self.cause: Message[Any] | None = None
        self.spans = tracing.NO_BATCH
        self._now: datetime | None = None
        self._rows: dict[UUID, outbox.Outgoing] = {}
        self._deadlines: dict[tuple[str, str], deadlines.Deadline | None] = {}

    @property
    def now(self) -> datetime:
        """Business time of the decision: read at the first access, which comes after the locks, then fixed."""
        return self._now or self.read_clock()

    def read_clock(self) -> datetime:
        """Reads business time anew, for a decision under a lock that was waited for after the first reading."""
        self._now = self.clock.now()
        return self._now

    def emit(self, event: Event, *, part: str = "") -> UUID:
        """Queues an event; its id. While a message or deadline is handled the id follows from the cause, so that a
        replay can't multiply events; two of one type and subject from one cause must differ in `part`.

        Raises `ValueError` when they do not.
        """
        payload = event.model_dump_json().encode()
        return self._queue(event.TOPIC, event.key, event.subject, event.TYPE, payload, part)

    def erase(self, topic: str, key: str) -> None:
        """Queues a tombstone: a compacted topic forgets what stood under the key."""
        self._queue(topic, key, key, ERASED, None, "")

    def report(self, row: outbox.Outgoing) -> None:
        """Queues a row that is no event of the domain, such as the notice of a parked record."""
        self._rows.setdefault(row.event_id, row)

    def set_deadline(self, kind: str, subject: str, at: datetime, *, version: int = 0, real: bool = False) -> None:
        """Sets the one deadline of this kind and subject, replacing an earlier one; `real` reads `at` as wall-clock."""
        self._deadlines[kind, subject] = deadlines.Deadline(kind, subject, at, version, real)

    def clear_deadline(self, kind: str, subject: str) -> None:
        """Removes the deadline; harmless when there is none."""
        self._deadlines[kind, subject] = None

    async def flush(self) -> None:
        """Writes deadlines, then the outbox. `begin` calls it; raises `outbox.TooLarge` before writing events."""
        if self._deadlines:
            await deadlines.save(self.conn, self._deadlines)
        await outbox.write(self.conn, list(self._rows.values()))

    @property
    def tells(self) -> bool:
        """Whether there is something for the relay to publish."""
        return bool(self._rows)

    def _queue(self, topic: str, key: str, subject: str, type: str, payload: bytes | None, part: str) -> UUID:
        id = self._id(type, subject, part)
        if id in self._rows:
            raise ValueError(f"two {type} about {subject} from one cause need a `part` to tell them apart")
        self._rows[id] = outbox.Outgoing(topic, key, subject, id, self._headers(id, type, key, subject), payload)
        return id

    def _id(self, type: str, subject: str, part: str) -> UUID:
        if self.cause is None:
            return new_id()
        return CAUSED.id("\n".join((self.consumer, str(self.cause.id), type, subject, part)))

    def _headers(self, id: UUID, type: str, key: str, subject: str) -> Headers:
        cause = self.cause
        return Envelope(
            id=id,
            type=type,
            source=self.consumer.partition(".")[0],
            subject=subject,
            time=self.now,
            key=key,
            correlation=(cause.envelope.correlation or str(cause.id)) if cause else CORRELATION.get(),
            causation=str(cause.id) if cause else None,
            traceparent=self.spans.parent_of(cause) if cause else TRACEPARENT.get(),
            readers=None if type == ERASED else READERS.get(type, NOBODY),
        ).headers()


@asynccontextmanager
async def begin(
    pool: Pool, clock: Clock, *, consumer: str, wake: Callable[[], None] | None = None
) -> AsyncIterator[UnitOfWork]:
    """One transaction: commits on a clean exit, rolls back on an error, and calls `wake` after a commit that tells
    something. Raises `CommitUnknown` when the connection is lost at COMMIT.
    """
    async with pool.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        uow = UnitOfWork(conn, clock, consumer)  # type: ignore[arg-type]
        try:
            yield uow
            await uow.flush()
            point("effect.before_commit")
        except BaseException:
            await _roll_back(transaction)
            raise
        await _commit(transaction)
    if wake and uow.tells:
        wake()


# What asyncpg raises on a connection that is gone, or that the server has just said goodbye on.
_LOST = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError, asyncpg.PostgresConnectionError)
_STOPPED = (asyncpg.QueryCanceledError, asyncpg.AdminShutdownError, asyncpg.CrashShutdownError)


async def _commit(transaction: Any) -> None:
    try:
        await transaction.commit()
    except (*_LOST, *_STOPPED) as lost:
        raise CommitUnknown("the database was lost at COMMIT") from lost


async def _roll_back(transaction: Any) -> None:
    # On a dead connection the server has rolled back already; the first error is the one worth raising.
    with contextlib.suppress(*_LOST, asyncpg.PostgresError):
        await transaction.rollback()
