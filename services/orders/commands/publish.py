"""Publishes decisions: their events and commands go to the outbox, their deadlines to the deadline table."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from contracts.events.campaign import JoinRefunded
from contracts.events.orders import OrderRefunded
from services.kit.transaction.unit_of_work import Origin, UnitOfWork
from services.orders.domain.campaign.campaign import CampaignDecision
from services.orders.domain.order.order import Order, OrderDeadline, OrderDecision
from services.orders.domain.order.recipient import Recipient
from services.orders.domain.order.state_machine import placed

ORDER, CAMPAIGN = "order", "campaign"
"""The kinds of deadlines; the subject is the id."""


def publish(uow: UnitOfWork, decision: OrderDecision, origin: Origin | None = None) -> None:
    """Publish the events and commands of a decision about an order, and set its deadline. `origin` is the request that
    led to it, where the transaction serves several.
    """
    for event in (*decision.events, *decision.commands):
        uow.emit(event, part=event.payment if isinstance(event, OrderRefunded) else "", origin=origin)
    for deadline in decision.deadlines:
        set_deadline(uow, ORDER, decision.order.id, deadline)


def publish_new_order(uow: UnitOfWork, order: Order, recipient: Recipient, origin: Origin | None = None) -> None:
    """Publish an accepted order, and the recipient of a delivery on the private topic."""
    publish(uow, placed(order), origin)
    if order.terms.is_delivery:
        uow.emit(recipient.event(order), origin=origin)


def publish_campaign(uow: UnitOfWork, decision: CampaignDecision, recipients: Mapping[UUID, Recipient]) -> None:
    """Publish the events and commands of a decision about a campaign with its new orders, and set its deadline."""
    for event in decision.events:
        uow.emit(event, part=str(event.join) if isinstance(event, JoinRefunded) else "")
    for order in decision.orders:
        publish_new_order(uow, order, recipients[order.id])
    for command in decision.commands:  # last: the new orders take their stock before the rest is released
        uow.emit(command)
    if decision.deadline is not None:
        set_deadline(uow, CAMPAIGN, decision.campaign.id, decision.deadline)


def set_deadline(uow: UnitOfWork, kind: str, subject: UUID, deadline: OrderDeadline) -> None:
    """Set the one deadline of this kind and subject, or clear it where the new one has no time."""
    if deadline.wait is not None:
        uow.set_deadline(kind, str(subject), uow.clock.real() + deadline.wait, real=True)
    elif deadline.at is not None:
        uow.set_deadline(kind, str(subject), deadline.at)
    else:
        uow.clear_deadline(kind, str(subject))
