"""The messages that orders reads, and one function for each kind of them: each changes loaded aggregates."""

from __future__ import annotations

from typing import Any

import structlog
from prometheus_client import Counter

from contracts.events import inventory as i
from contracts.events.dispatch import JobEvent
from services.kit.consumer.delivery import Handler
from services.kit.consumer.subscription import Subscription
from services.kit.identity.events import PRINCIPALS
from services.kit.transaction.message import DeadlineReached, Message
from services.orders.commands.changes import Changes, subjects
from services.orders.commands.publish import CAMPAIGN
from services.orders.domain.campaign import campaign as campaigns
from services.orders.domain.order.order import OrderState, Timeout
from services.orders.domain.order.state_machine import FACTS

_log = structlog.get_logger("halfday.orders")
LATE = Counter("halfday_orders_late_total", "orders that were not delivered before the end of their slot", ["state"])


def on_answer(changes: Changes, message: Message[i.ReservationEvent | JobEvent]) -> None:
    """Apply an answer of inventory or dispatch to its order, or to the campaign where it is about a campaign's
    reservation. An answer about neither is ignored: it belongs to another client.
    """
    campaign = changes.campaigns.get(message.data.order)
    if campaign and isinstance(message.data, i.ReservationEvent):
        joins = changes.campaigns.joins[campaign.id]
        changes.change_campaign(campaigns.answered(campaign, joins, message.data))
    else:
        changes.change_order(message.data.order, message.data)


def on_claims_exceeded(changes: Changes, message: Message[i.ClaimsExceeded]) -> None:
    """Cancel every order named in a shortfall of stock."""
    for order in sorted(set(subjects(message.data))):
        changes.change_order(order, message.data)


def on_allotment(changes: Changes, message: Message[i.AllotmentEvent]) -> None:
    """Record a terminal's allotment for its next sync."""
    event = message.data
    key = (event.terminal, event.pool, event.item)
    known = changes.allotments.get(key)
    if known is None or known.version < event.version:
        changes.allotments[key] = event


def on_sold_out(changes: Changes, message: Message[i.SoldOut]) -> None:
    """Record that an item is sold out, or offered again."""
    changes.sold_out[message.data.pool, message.data.item] = not message.data.reopened


def on_deadline(changes: Changes, message: Message[DeadlineReached]) -> None:
    """Apply the deadline of an order or a campaign. For goods on their way it is an alarm only."""
    (id,) = subjects(message.data)
    campaign = changes.campaigns.get(id)
    if campaign and message.data.kind == CAMPAIGN:
        loaded = changes.campaigns
        now = changes.uow.now
        changes.change_campaign(campaigns.deadline_reached(campaign, loaded.tallies[id], loaded.joins[id], now))
        return
    order = changes.orders.get(id)
    if order and order.state in {OrderState.SCHEDULED, OrderState.LOADED}:
        LATE.labels(order.state).inc()
        _log.warning("late", order=str(id), state=order.state, wave=order.wave)
    changes.change_order(id, Timeout())


def _answers(base: type[Any]) -> dict[type[Any], Handler]:
    # From the state machine, so that a new fact is subscribed to with its row.
    return {fact: on_answer for fact in FACTS if issubclass(fact, base)}


SUBSCRIPTIONS = (
    Subscription(
        "inventory.stock.v1",
        {
            **_answers(i.ReservationEvent),
            i.ClaimsExceeded: on_claims_exceeded,
            i.AllotmentGranted: on_allotment,
            i.AllotmentReturned: on_allotment,
            i.AllotmentLapsed: on_allotment,
            i.SoldOut: on_sold_out,
        },
        blocking_by_key=False,
    ),
    Subscription("dispatch.job.v1", _answers(JobEvent)),
    PRINCIPALS,
)
