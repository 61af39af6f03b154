"""What orders does with what it is told: one function for each kind of message, each a few lines on the book."""

from __future__ import annotations

from typing import Any

import structlog
from prometheus_client import Counter

from contracts.events import dispatch as d
from contracts.events import inventory as i
from services.kit.consumer.delivery import Handler
from services.kit.consumer.subscription import Subscription
from services.kit.transaction.message import DeadlineReached, Message
from services.orders.commands.publish import CAMPAIGN
from services.orders.domain.campaign import campaign as campaigns
from services.orders.domain.order.order import OrderState, Timeout
from services.orders.repository.order import OrderRepository, named

_log = structlog.get_logger("halfday.orders")
LATE = Counter("halfday_orders_late_total", "orders whose slot ended before they were delivered", ["state"])


def on_answer(book: OrderRepository, message: Message[i.ReservationEvent | d.JobEvent]) -> None:
    """An answer of inventory or dispatch: the order's table decides, or, where it is about a campaign's reservation,
    the campaign. One about neither is passed over: a command of somebody else.
    """
    campaign = book.campaigns.found.get(message.data.order)
    if campaign and isinstance(message.data, i.ReservationEvent):
        book.campaigns.keep(campaigns.answered(campaign, book.campaigns.joins[campaign.id], message.data))
    else:
        book.apply(message.data.order, message.data)


def on_claims_exceeded(book: OrderRepository, message: Message[i.ClaimsExceeded]) -> None:
    """More is claimed than there is: every order that is named goes the cancel path."""
    for order in sorted(set(named(message.data))):
        book.apply(order, message.data)


def on_allotment(book: OrderRepository, message: Message[i.AllotmentEvent]) -> None:
    """What a terminal has been lent so far, kept for its next sync."""
    event = message.data
    key = (event.terminal, event.pool, event.item)
    known = book.allotments.get(key)
    if known is None or known.version < event.version:
        book.allotments[key] = event


def on_sold_out(book: OrderRepository, message: Message[i.SoldOut]) -> None:
    """An item that is not to be promised any more, or is again."""
    book.sold_out[message.data.pool, message.data.item] = not message.data.reopened


def on_due(book: OrderRepository, message: Message[DeadlineReached]) -> None:
    """A deadline of an order or campaign passed. For goods on their way that is an alarm only."""
    (id,) = named(message.data)
    campaign = book.campaigns.found.get(id)
    if campaign and message.data.kind == CAMPAIGN:
        known = book.campaigns
        known.keep(campaigns.deadline_reached(campaign, known.tallies[id], known.joins[id], book.uow.now))
        return
    order = book.orders.get(id)
    if order and order.state in {OrderState.SCHEDULED, OrderState.LOADED}:
        LATE.labels(order.state).inc()
        _log.warning("late", order=str(id), state=order.state, wave=order.wave)
    book.apply(id, Timeout())


_ANSWERS: tuple[type[Any], ...] = (
    i.StockReserved,
    i.StockRefused,
    i.StockCommitted,
    i.CommitRefused,
    i.ReservationReleased,
    i.ReservationExpired,
)
_STEPS: tuple[type[Any], ...] = (
    d.JobPlanned,
    d.JobRefused,
    d.JobLoaded,
    d.JobDelivered,
    d.AttemptFailed,
    d.JobReturned,
    d.JobCancelled,
    d.CancelRefused,
)
_ALLOTMENTS: tuple[type[Any], ...] = (i.AllotmentGranted, i.AllotmentReturned, i.AllotmentLapsed)
_STOCK: dict[type[Any], Handler] = {i.ClaimsExceeded: on_claims_exceeded, i.SoldOut: on_sold_out}

SUBSCRIPTIONS = (
    Subscription(
        "inventory.stock.v1",
        dict.fromkeys(_ANSWERS, on_answer) | dict.fromkeys(_ALLOTMENTS, on_allotment) | _STOCK,
        blocking_by_key=False,
    ),
    Subscription("dispatch.job.v1", dict.fromkeys(_STEPS, on_answer)),
)
