"""What follows from a decision beyond its own rows: events and commands in the outbox, and a deadline."""

from __future__ import annotations

from contracts.events.orders import OrderRefunded
from services.kit.unit_of_work import UnitOfWork
from services.orders.domain.order import Deadline, Decision

ORDER, CAMPAIGN = "order", "campaign"
"""The kinds of deadlines; the subject is the id."""


def announce(uow: UnitOfWork, decision: Decision) -> None:
    """Queues what a decision about an order tells the world, and sets its deadline."""
    for event in (*decision.events, *decision.commands):
        uow.emit(event, part=event.payment if isinstance(event, OrderRefunded) else "")
    for deadline in decision.deadlines:
        remind(uow, ORDER, str(decision.order.id), deadline)


def remind(uow: UnitOfWork, kind: str, subject: str, deadline: Deadline) -> None:
    """Sets the one deadline of this kind and subject, or removes it where the new one has no time."""
    if deadline.wait is not None:
        uow.due(kind, subject, uow.clock.real() + deadline.wait, real=True)
    elif deadline.at is not None:
        uow.due(kind, subject, deadline.at)
    else:
        uow.undue(kind, subject)
