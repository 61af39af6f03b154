"""Durable deadlines: a due deadline is processed as a message, exactly once for any number of sweepers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

import orjson
import structlog

from contracts.envelope import Envelope, read_envelope
from services.kit.consumer.delivery import Delivery, Handler
from services.kit.consumer.processor import BatchProcessor, Repository
from services.kit.database import Pool, is_transient
from services.kit.errors import Transient
from services.kit.faults import point
from services.kit.ids import Namespace
from services.kit.telemetry.metrics import FIRED
from services.kit.transaction import deadlines
from services.kit.transaction.message import DEADLINE_REACHED, DeadlineReached, Message, Record
from services.kit.transaction.ports import Ports
from services.kit.transaction.unit_of_work import UnitOfWork

POLL_S = 0.1
BATCH = 500
TOPIC = "kit.deadlines"
_IDS = Namespace("deadline")
_log = structlog.get_logger("halfday.deadlines")


class Sweeper(BatchProcessor):
    """Passes due deadlines, oldest first, to the service's handler for `DeadlineReached`.

    The head rows are locked before a deadline is claimed, as in every command that sets or removes one; so a deadline
    that a command removed or set again does not fire. One that can't be processed is dead-lettered under its subject.
    """

    def __init__(
        self,
        service: str,
        handler: Handler,
        *,
        pool: Pool,
        ports: Ports,
        open_repository: Callable[[UnitOfWork], Repository],
        wake: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(f"{service}.deadlines", pool=pool, ports=ports, open_repository=open_repository, wake=wake)
        self._handler = handler

    async def run(self) -> None:
        """Sweep until cancelled; waits for a database that is away."""
        while True:
            try:
                more = await self.sweep() >= BATCH
            except Exception as error:
                if not is_transient(error) and not isinstance(error, Transient):
                    raise
                _log.warning("deadlines wait", error=type(error).__name__)
                await asyncio.sleep(1)
                continue
            if not more:
                await asyncio.sleep(POLL_S)

    async def sweep(self) -> int:
        """Process the deadlines that are due on their own clock, at most 500 of each clock; return the number found."""
        found = await deadlines.overdue(self.pool, self.ports.clock.now(), self.ports.clock.real(), BATCH)
        due = sorted(found, key=lambda deadline: deadline.due_at)
        await self.settle([self.read(self._record(deadline)) for deadline in due])
        return len(found)

    async def _confirm(self, _uow: UnitOfWork, deliveries: Sequence[Delivery]) -> set[UUID]:
        ids = {delivery.record.offset: delivery.id for delivery in deliveries}
        claimed = await deadlines.claim(_uow.conn, list(ids))
        point("saga.before_step")
        FIRED.labels(self.consumer).inc(len(claimed))
        return {ids[token] for token in claimed}

    def _record(self, deadline: deadlines.Deadline) -> Record:
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
