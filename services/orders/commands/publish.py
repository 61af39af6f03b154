"""What follows from a decision beyond its own rows: events and commands in the outbox, and a deadline."""

from __future__ import annotations

from contracts.events.orders import OrderRefunded
from services.kit.transaction.unit_of_work import UnitOfWork
from services.orders.domain.order.order import OrderDeadline, OrderDecision

ORDER, CAMPAIGN = "order", "campaign"
"""The kinds of deadlines; the subject is the id."""


def announce(uow: UnitOfWork, decision: OrderDecision) -> None:
    """Queues what a decision about an order tells the world, and sets its deadline."""
    for event in (*decision.events, *decision.commands):
        uow.emit(event, part=event.payment if isinstance(event, OrderRefunded) else "")
    for deadline in decision.deadlines:
        remind(uow, ORDER, str(decision.order.id), deadline)


def remind(uow: UnitOfWork, kind: str, subject: str, deadline: OrderDeadline) -> None:
    """Sets the one deadline of this kind and subject, or removes it where the new one has no time."""
    if deadline.wait is not None:
        uow.set_deadline(kind, subject, uow.clock.real() + deadline.wait, real=True)
    elif deadline.at is not None:
        uow.set_deadline(kind, subject, deadline.at)
    else:
        uow.clear_deadline(kind, subject)
