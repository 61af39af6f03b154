"""Deduplication: which deliveries of a batch were processed before. Both kinds are in the effect's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from services.kit.consumer.delivery import Delivery
from services.kit.telemetry.metrics import DUPLICATES, FIRED
from services.kit.transaction.deadlines import DeadlineTable
from services.kit.transaction.inbox import InboxTable
from services.kit.transaction.unit_of_work import UnitOfWork


class Dedup(Protocol):
    """Separates new deliveries from repeated ones, before or after the aggregates are locked."""

    async def before_locks(self, uow: UnitOfWork, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Return the deliveries that may be new, in order."""

    async def after_locks(self, uow: UnitOfWork, deliveries: Sequence[Delivery]) -> set[UUID]:
        """Return the ids of those that are new."""


class Inbox:
    """Processes an event once: its id is inserted into the inbox before the aggregates are locked."""

    async def before_locks(self, uow: UnitOfWork, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Return each delivery that is not in the inbox yet, once."""
        fresh = await uow.table(InboxTable).claim(uow.consumer, (delivery.id for delivery in deliveries))
        uow.ports.crash_point("inbox.after_insert")
        taken: list[Delivery] = []
        for delivery in deliveries:
            if delivery.id in fresh:
                fresh.remove(delivery.id)  # a batch may hold the same event twice: only the first counts
                taken.append(delivery)
        DUPLICATES.labels(uow.consumer).inc(len(deliveries) - len(taken))
        return taken

    async def after_locks(self, _uow: UnitOfWork, deliveries: Sequence[Delivery]) -> set[UUID]:
        """Return all ids: the inbox has decided."""
        return {delivery.id for delivery in deliveries}


class DeadlineClaim:
    """Fires a deadline once: it is removed after the aggregates are locked, as in every command that sets or removes
    one; so a deadline that a command removed or set again does not fire. The offset of its record is its token.
    """

    async def before_locks(self, _uow: UnitOfWork, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Return all deliveries: only `after_locks` decides."""
        return list(deliveries)

    async def after_locks(self, uow: UnitOfWork, deliveries: Sequence[Delivery]) -> set[UUID]:
        """Remove the deadlines that are still set, and return their ids."""
        ids = {delivery.record.offset: delivery.id for delivery in deliveries}
        claimed = await uow.table(DeadlineTable).claim(list(ids))
        uow.ports.crash_point("saga.before_step")
        FIRED.labels(uow.consumer).inc(len(claimed))
        return {ids[token] for token in claimed}
