"""The state machine of an order: one table of state x message -> step, and `decide`, the only way an order changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from contracts.events import dispatch as d
from contracts.events import inventory as i
from contracts.events.orders import OrderPlaced
from contracts.values import Payment
from services.orders.domain.order import outgoing, transitions
from services.orders.domain.order.order import (
    TERMINAL,
    UNKEPT,
    Cancel,
    Collect,
    Money,
    Order,
    OrderDeadline,
    OrderDecision,
    OrderState,
    Paid,
    Ready,
    Refund,
    Timeout,
)

PLACED_WAIT, ANSWER_WAIT = timedelta(minutes=2), timedelta(minutes=1)
HOLD_GRACE = timedelta(minutes=5)

Act = Callable[[Order, Any, datetime], OrderDecision]
PLACED, HELD, RESERVED, SCHEDULED = OrderState.PLACED, OrderState.HELD, OrderState.RESERVED, OrderState.SCHEDULED
READY, LOADED, CANCELLING, FAILING = OrderState.READY, OrderState.LOADED, OrderState.CANCELLING, OrderState.FAILING
REJECTED, EXPIRED, CANCELLED, FAILED = OrderState.REJECTED, OrderState.EXPIRED, OrderState.CANCELLED, OrderState.FAILED
DELIVERED, COLLECTED, RETURNED = OrderState.DELIVERED, OrderState.COLLECTED, OrderState.RETURNED
ENDING = (CANCELLING, FAILING)


@dataclass(frozen=True, slots=True)
class Step:
    """The function that answers a message in a state, and every state that may follow."""

    act: Act
    to: tuple[OrderState, ...]


FACTS: tuple[type, ...] = (
    i.StockReserved,
    i.StockRefused,
    i.StockCommitted,
    i.CommitRefused,
    i.ReservationReleased,
    i.ReservationExpired,
    i.ClaimsExceeded,
    d.JobPlanned,
    d.JobRefused,
    d.JobLoaded,
    d.JobDelivered,
    d.AttemptFailed,
    d.JobReturned,
    d.JobCancelled,
    d.CancelRefused,
    Timeout,
)
REQUESTS: tuple[type, ...] = (Cancel, Paid, Ready, Collect, Refund)

# states, messages, step, the states that may follow; "same" where none is named
_ROWS: tuple[tuple[tuple[OrderState, ...], tuple[type, ...], Act, tuple[OrderState, ...]], ...] = (
    ((PLACED,), (i.StockReserved,), transitions.stock_reserved, (RESERVED, HELD)),
    ((PLACED,), (i.StockRefused,), transitions.stock_refused, (REJECTED,)),
    ((PLACED,), (Timeout,), transitions.unanswered, (FAILING,)),
    ((HELD,), (i.StockCommitted,), transitions.stock_firm, (RESERVED,)),
    ((HELD,), (i.ReservationExpired, i.CommitRefused), transitions.hold_ended, (EXPIRED, PLACED, CANCELLED)),
    ((HELD,), (Timeout,), transitions.hold_overdue, (EXPIRED, PLACED, CANCELLED)),
    ((RESERVED, SCHEDULED), (d.JobPlanned,), transitions.job_planned, (SCHEDULED,)),
    ((RESERVED, SCHEDULED), (d.JobRefused,), transitions.job_refused, (FAILING,)),
    ((RESERVED, SCHEDULED), (d.JobLoaded,), transitions.loaded, (LOADED,)),
    ((RESERVED,), (Timeout,), transitions.unplanned, (FAILING,)),
    ((RESERVED,), (Ready,), transitions.ready, (READY,)),
    ((READY, COLLECTED), (Collect,), transitions.collect, (COLLECTED,)),
    ((READY,), (Timeout,), transitions.returned, (RETURNED,)),
    ((READY,), (Ready,), transitions.ignore, ()),
    ((LOADED,), (d.JobDelivered,), transitions.delivered, (DELIVERED,)),
    ((LOADED,), (d.AttemptFailed,), transitions.attempt_failed, ()),
    ((LOADED,), (d.JobReturned,), transitions.returned, (RETURNED,)),
    ((SCHEDULED, LOADED), (Timeout,), transitions.late, ()),
    ((PLACED, HELD, RESERVED, SCHEDULED, READY), (Cancel,), transitions.cancel, (CANCELLING,)),
    ((HELD, RESERVED, SCHEDULED), (i.ClaimsExceeded,), transitions.cancel, (FAILING,)),
    ((*ENDING, CANCELLED), (Cancel,), transitions.ignore, ()),
    (ENDING, (d.JobCancelled,), transitions.job_cancelled, ()),
    ((CANCELLING,), (i.ReservationReleased,), transitions.stock_released, (CANCELLED,)),
    ((FAILING,), (i.ReservationReleased,), transitions.stock_released, (FAILED,)),
    (ENDING, (d.JobLoaded,), transitions.loaded, (LOADED,)),
    (ENDING, (d.CancelRefused,), transitions.cancel_refused, (LOADED,)),
    (ENDING, (Timeout,), transitions.repeat_command, ()),
    ((PLACED, HELD, RESERVED, SCHEDULED, READY, LOADED), (Paid,), transitions.paid, ()),
    ((EXPIRED,), (Paid,), transitions.paid_late, (PLACED, CANCELLED)),
    ((*ENDING, *(TERMINAL - {EXPIRED})), (Paid,), transitions.refund_unneeded, ()),
    (tuple(TERMINAL), (Refund,), transitions.refund, ()),
)


def _table() -> Iterator[tuple[tuple[OrderState, type], Step]]:
    yield from (((state, fact), Step(transitions.ignore, ())) for state in OrderState for fact in FACTS)
    yield from (((state, request), Step(transitions.refuse, ())) for state in OrderState for request in REQUESTS)
    for states, messages, act, to in _ROWS:
        yield from (((state, message), Step(act, to)) for state in states for message in messages)


TRANSITIONS: dict[tuple[OrderState, type], Step] = dict(_table())
"""Every state x every message: facts without a row are ignored, requests without one are refused."""


def decide(order: Order, message: Any, now: datetime) -> OrderDecision:
    """Return the order after `message`, with its events, commands and deadline. `now` is business time, read under
    the order's lock.

    A message about another attempt, reservation or job than the current one is ignored, and so is a payment that is
    recorded already. Every final state but delivered and collected refunds each payment once. Entering a state sets
    that state's deadline.
    """
    if not _is_current(order, message):
        return transitions.ignore(order, message, now)
    if isinstance(message, Paid) and (why := _wrong_money(order, message)):
        return OrderDecision(order, step=False, refused=why)
    decision = TRANSITIONS[order.state, type(message)].act(order, message, now)
    after = decision.order
    if not decision.step:
        return decision
    if after.state in UNKEPT:
        decision = transitions.refund_all(decision)
    if after.state is not order.state or (isinstance(message, Timeout | d.JobCancelled | d.JobPlanned)):
        decision = replace(decision, deadlines=(deadline(after),))
    return replace(decision, order=replace(decision.order, version=order.version + 1))


def placed(order: Order) -> OrderDecision:
    """Return the first step of an accepted order. Its stock is held, not firm, until a pending payment arrives."""
    terms = order.terms
    event = OrderPlaced(
        order=order.id,
        channel=terms.channel,
        market_day=terms.market_day,
        community=terms.community,
        pool=terms.pool,
        lines=list(terms.lines),
        total_fen=terms.total_fen,
        fulfilment=terms.fulfilment,
        point=terms.point,
        payment=terms.payment,
        basket=terms.basket,
        campaign=terms.campaign,
        join=terms.join,
    )
    command = outgoing.reserve_stock(order, firm=terms.payment is not Payment.PENDING)
    return OrderDecision(order, (event,), (command,), (deadline(order),))


def deadline(order: Order) -> OrderDeadline:
    """Return the deadline of an order's state. Waits for another service run in real time, all others on the business
    clock. For scheduled and loaded orders it is an alarm only.
    """
    match order.state:
        case OrderState.PLACED:
            return OrderDeadline(wait=PLACED_WAIT)
        case OrderState.CANCELLING | OrderState.FAILING:
            return OrderDeadline(wait=ANSWER_WAIT)
        case OrderState.HELD if order.hold_until:
            return OrderDeadline(at=order.hold_until + HOLD_GRACE)
        case OrderState.RESERVED if order.terms.is_delivery:
            return OrderDeadline(at=order.terms.due_by)
        case OrderState.READY:
            return OrderDeadline(at=order.terms.due_by)
        case OrderState.SCHEDULED | OrderState.LOADED:
            return OrderDeadline(at=order.slot_until)
        case _:
            return OrderDeadline()


def _is_current(order: Order, message: Any) -> bool:
    match message:
        case i.ReservationEvent():
            return message.reservation == order.reservation
        case d.JobEvent():
            return message.reservation == order.reservation and message.job == order.job
        case i.ClaimsExceeded():
            return order.reservation in message.reservations
        case Paid():
            return Money(message.payment, message.amount_fen) not in [replace(m, refunded=False) for m in order.money]
        case _:
            return True


def _wrong_money(order: Order, message: Paid) -> str:
    if any(one.payment == message.payment for one in order.money):
        return f"payment {message.payment} was recorded with another amount"
    total = order.terms.total_fen
    return "" if message.amount_fen == total else f"order {order.id} costs {total} fen: pay exactly that in one payment"
