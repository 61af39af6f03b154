"""One transaction of a service: its effects, its deadlines and its events, all or nothing."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from contracts.envelope import Envelope, Event, Headers
from contracts.readers import NO_READER, READERS
from services.kit.database import Connection, Pool
from services.kit.errors import CommitUnknown
from services.kit.ids import Namespace
from services.kit.telemetry import tracing
from services.kit.transaction import deadlines, outbox
from services.kit.transaction.message import ERASED, Message
from services.kit.transaction.ports import Ports, T

CAUSED = Namespace("caused")
# The id of the current request, and its W3C trace parent; the HTTP edge sets them for the events of its commands.
CORRELATION: ContextVar[str | None] = ContextVar("correlation", default=None)
TRACEPARENT: ContextVar[str | None] = ContextVar("traceparent", default=None)


class Origin(NamedTuple):
    """The request that an event comes from: its id, which becomes the event's correlation, and its trace parent."""

    correlation: str | None
    traceparent: str | None

    @classmethod
    def current(cls) -> Origin:
        """Return the origin of the request that this task serves."""
        return cls(CORRELATION.get(), TRACEPARENT.get())


class UnitOfWork:
    """Collects the events and deadlines of one transaction and writes them last, before COMMIT.

    Made by `begin`. Writers lock the head rows of what they change first, through the repository. `store` is the
    service's tables in this transaction.
    """

    def __init__(self, conn: Connection, ports: Ports, consumer: str) -> None:
        self.conn = conn
        self.ports = ports
        self.clock = ports.clock
        self.store = ports.store(conn)
        self.consumer = consumer
        self.cause: Message[Any] | None = None
        self.spans = tracing.NO_BATCH
        self._now: datetime | None = None
        self._rows: dict[UUID, outbox.Outgoing] = {}
        self._deadlines: dict[tuple[str, str], deadlines.Deadline | None] = {}

    @property
    def now(self) -> datetime:
        """Business time of the decision: read at the first access, which is after the locks, then fixed."""
        return self._now or self.read_clock()

    def read_clock(self) -> datetime:
        """Read business time again, for a decision under a lock that was granted after the first reading."""
        self._now = self.clock.now()
        return self._now

    def handle(self, message: Message[Any] | None) -> None:
        """Make `message` the cause of what follows; its span begins here, also when it causes nothing. None ends it."""
        self.cause = message
        if message:
            self._parent(message)

    def emit(self, event: Event, *, part: str = "", origin: Origin | None = None) -> UUID:
        """Queue an event and return its id. While a message or deadline is handled the id follows from the cause, so
        that a replay can't multiply events; two of one type and subject from one cause must differ in `part`.

        `origin` is the request that the event comes from, where one transaction serves several; by default the current
        one. While a message is handled, its cause counts instead. Raises `ValueError` when two events get one id.
        """
        payload = event.model_dump_json().encode()
        return self._queue(event.TOPIC, event.key, event.subject, event.TYPE, payload, part, origin)

    def erase(self, topic: str, key: str) -> None:
        """Queue a tombstone: a compacted topic deletes the state of the key."""
        self._queue(topic, key, key, ERASED, None, "", None)

    def report(self, row: outbox.Outgoing) -> None:
        """Queue a row that is no event of the domain, such as a dead letter."""
        self._rows.setdefault(row.event_id, row)

    def set_deadline(self, kind: str, subject: str, at: datetime, *, version: int = 0, real: bool = False) -> None:
        """Set the one deadline of this kind and subject, replacing an earlier one; `real`: `at` is wall-clock time."""
        self._deadlines[kind, subject] = deadlines.Deadline(kind, subject, at, version, real)

    def clear_deadline(self, kind: str, subject: str) -> None:
        """Remove the deadline; harmless when there is none."""
        self._deadlines[kind, subject] = None

    async def flush(self) -> None:
        """Write deadlines, then the outbox. `begin` calls it; raises `TooLarge` before writing events."""
        if self._deadlines:
            await self.table(deadlines.DeadlineTable).save(self._deadlines)
        await self.table(outbox.OutboxTable).write(list(self._rows.values()))

    def table(self, kind: type[T]) -> T:
        """Open a table of the kit in this transaction."""
        return self.ports.table(kind, self.conn)

    @property
    def has_events(self) -> bool:
        """Return true if there are rows for the relay to publish."""
        return bool(self._rows)

    def _queue(
        self, topic: str, key: str, subject: str, type: str, payload: bytes | None, part: str, origin: Origin | None
    ) -> UUID:
        id = self._id(type, subject, part)
        if id in self._rows:
            raise ValueError(f"two {type} about {subject} from one cause need a different `part` each")
        headers = self._headers(id, type, key, subject, origin or Origin.current())
        self._rows[id] = outbox.Outgoing(topic, key, subject, id, headers, payload)
        return id

    def _id(self, type: str, subject: str, part: str) -> UUID:
        if self.cause is None:
            return self.ports.new_id()
        return CAUSED.id("\n".join((self.consumer, str(self.cause.id), type, subject, part)))

    def _headers(self, id: UUID, type: str, key: str, subject: str, origin: Origin) -> Headers:
        cause = self.cause
        return Envelope(
            id=id,
            type=type,
            source=self.consumer.partition(".")[0],
            subject=subject,
            time=self.now,
            key=key,
            correlation=(cause.envelope.correlation or str(cause.id)) if cause else origin.correlation,
            causation=str(cause.id) if cause else None,
            traceparent=self._parent(cause) if cause else origin.traceparent,
            readers=None if type == ERASED else READERS.get(type, NO_READER),
        ).headers()

    def _parent(self, cause: Message[Any]) -> str | None:
        return self.spans.parent_of(cause.id, cause.type, cause.record[:3], cause.envelope.traceparent)


@asynccontextmanager
async def begin(
    pool: Pool, ports: Ports, *, consumer: str, wake: Callable[[], None] | None = None
) -> AsyncIterator[UnitOfWork]:
    """Open one transaction: commits on a clean exit, rolls back on an error, and calls `wake` after a commit with
    events. Raises `CommitUnknown` when the connection is lost at COMMIT.
    """
    async with pool.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        uow = UnitOfWork(conn, ports, consumer)  # type: ignore[arg-type]
        try:
            yield uow
            await uow.flush()
            ports.crash_point("effect.before_commit")
        except BaseException:
            await _roll_back(transaction)
            raise
        await _commit(transaction)
    if wake and uow.has_events:
        wake()


# Errors of asyncpg on a connection that is lost, or that the server has just closed.
_LOST = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError, asyncpg.PostgresConnectionError)
_STOPPED = (asyncpg.QueryCanceledError, asyncpg.AdminShutdownError, asyncpg.CrashShutdownError)


async def _commit(transaction: Any) -> None:
    try:
        await transaction.commit()
    except (*_LOST, *_STOPPED) as lost:
        raise CommitUnknown("the database was lost at COMMIT") from lost


async def _roll_back(transaction: Any) -> None:
    # On a dead connection the server has rolled back already; the first error is the one to raise.
    with contextlib.suppress(*_LOST, asyncpg.PostgresError):
        await transaction.rollback()
