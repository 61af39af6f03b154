"""Durable deadlines: a due deadline is processed as a message, exactly once for any number of sweepers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import orjson
import structlog

from contracts.envelope import Envelope, read_envelope
from services.kit.consumer.dedup import DeadlineClaim
from services.kit.consumer.delivery import Delivery, Handler
from services.kit.consumer.processor import BatchProcessor, Repository
from services.kit.context import Context
from services.kit.database import is_transient
from services.kit.errors import Transient
from services.kit.ids import Namespace
from services.kit.transaction.deadlines import Deadline, DeadlineTable
from services.kit.transaction.message import DEADLINE_REACHED, DeadlineReached, Message, Record
from services.kit.transaction.unit_of_work import UnitOfWork

POLL_S = 0.1
BATCH = 500
TOPIC = "kit.deadlines"
_IDS = Namespace("deadline")
_log = structlog.get_logger("halfday.deadlines")


class DeadlineSource:
    """Due deadlines as records, so that they are dead-lettered and redriven like others."""

    def __init__(self, service: str, handler: Handler) -> None:
        self.consumer = f"{service}.deadlines"
        self._handler = handler

    def record(self, deadline: Deadline) -> Record:
        """Return the deadline as a record, so that it can be dead-lettered and redriven; its offset is its token."""
        content = {"kind": deadline.kind, "version": deadline.version, "due_at": deadline.due_at.isoformat()}
        setting = f"{deadline.version}/{content['due_at']}/{deadline.token}"
        name = f"{self.consumer}/{deadline.kind}/{deadline.subject}/{setting}"
        envelope = Envelope(
            id=_IDS.id(name),
            type=DEADLINE_REACHED,
            source=self.consumer.partition(".")[0],
            subject=deadline.subject,
            time=deadline.due_at,
            key=deadline.subject,
        )
        key = deadline.subject.encode()
        return Record(TOPIC, 0, deadline.token, key, orjson.dumps(content), envelope.headers())

    def read(self, record: Record) -> Delivery:
        """Return the deadline of a record as it was when it fired."""
        envelope = read_envelope(record.headers)
        data = orjson.loads(record.value or b"{}")
        due = DeadlineReached(data["kind"], envelope.subject, data["version"], datetime.fromisoformat(data["due_at"]))
        message = Message(envelope, due, record)
        return Delivery(record, envelope.id, due.subject, frozenset({due.subject}), message, self._handler)


class Sweeper:
    """Passes due deadlines, oldest first, to the service's handler for `DeadlineReached`.

    One that can't be processed is dead-lettered under its subject.
    """

    def __init__(
        self,
        service: str,
        handler: Handler,
        open_repository: Callable[[UnitOfWork], Repository],
        context: Context,
    ) -> None:
        self._source = DeadlineSource(service, handler)
        self.processor = BatchProcessor(self._source, DeadlineClaim(), open_repository, context)
        self._ports = context.ports

    async def run(self) -> None:
        """Sweep until cancelled; waits for a database that is away."""
        while True:
            try:
                more = await self.sweep() >= BATCH
            except Exception as error:
                if not is_transient(error) and not isinstance(error, Transient):
                    raise
                _log.warning("deadlines wait", error=type(error).__name__)
                await self._ports.tasks.sleep(1)
                continue
            if not more:
                await self._ports.tasks.sleep(POLL_S)

    async def sweep(self) -> int:
        """Process the deadlines that are due on their own clock, at most 500 of each clock; return the number found."""
        clock, table = self._ports.clock, self.processor.context.table(DeadlineTable)
        found = await table.overdue(clock.now(), clock.real(), BATCH)
        due = sorted(found, key=lambda deadline: deadline.due_at)
        await self.processor.settle([self._source.read(self._source.record(deadline)) for deadline in due])
        return len(found)
