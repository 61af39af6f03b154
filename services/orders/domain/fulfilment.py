"""The life of an order: one table of state x message -> step, and `decide`, the only way an order changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from contracts.events import dispatch as d
from contracts.events import inventory as i
from contracts.events.orders import OrderPlaced
from contracts.values import Payment
from services.orders.domain import steps
from services.orders.domain.order import (
    TERMINAL,
    UNKEPT,
    Cancel,
    Collect,
    Deadline,
    Decision,
    Money,
    Order,
    Overdue,
    Paid,
    Ready,
    Refund,
    State,
)

PLACED_WAIT, ANSWER_WAIT = timedelta(minutes=2), timedelta(minutes=1)
HOLD_GRACE = timedelta(minutes=5)

Act = Callable[[Order, Any, datetime], Decision]
P, H, R, S = State.PLACED, State.HELD, State.RESERVED, State.SCHEDULED
READY, LOADED, CANCELLING, FAILING = State.READY, State.LOADED, State.CANCELLING, State.FAILING
REJECTED, EXPIRED, CANCELLED, FAILED = State.REJECTED, State.EXPIRED, State.CANCELLED, State.FAILED
DELIVERED, COLLECTED, RETURNED = State.DELIVERED, State.COLLECTED, State.RETURNED
ENDING = (CANCELLING, FAILING)


@dataclass(frozen=True, slots=True)
class Step:
    """What a message does in a state, and every state that may follow."""

    act: Act
    to: tuple[State, ...]


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
    Overdue,
)
ASKS: tuple[type, ...] = (Cancel, Paid, Ready, Collect, Refund)

# states, messages, step, the states that may follow; "same" where none is named
_ROWS: tuple[tuple[tuple[State, ...], tuple[type, ...], Act, tuple[State, ...]], ...] = (
    ((P,), (i.StockReserved,), steps.stock_reserved, (R, H)),
    ((P,), (i.StockRefused,), steps.stock_refused, (REJECTED,)),
    ((P,), (Overdue,), steps.unanswered, (FAILING,)),
    ((H,), (i.StockCommitted,), steps.stock_firm, (R,)),
    ((H,), (i.ReservationExpired, i.CommitRefused), steps.hold_ended, (EXPIRED, P, CANCELLED)),
    ((H,), (Overdue,), steps.hold_overdue, (EXPIRED, P, CANCELLED)),
    ((R, S), (d.JobPlanned,), steps.job_planned, (S,)),
    ((R, S), (d.JobRefused,), steps.job_refused, (FAILING,)),
    ((R, S), (d.JobLoaded,), steps.loaded, (LOADED,)),
    ((R,), (Overdue,), steps.unplanned, (FAILING,)),
    ((R,), (Ready,), steps.ready, (READY,)),
    ((READY, COLLECTED), (Collect,), steps.collect, (COLLECTED,)),
    ((READY,), (Overdue,), steps.returned, (RETURNED,)),
    ((READY,), (Ready,), steps.ignore, ()),
    ((LOADED,), (d.JobDelivered,), steps.delivered, (DELIVERED,)),
    ((LOADED,), (d.AttemptFailed,), steps.attempt_failed, ()),
    ((LOADED,), (d.JobReturned,), steps.returned, (RETURNED,)),
    ((S, LOADED), (Overdue,), steps.late, ()),
    ((P, H, R, S, READY), (Cancel,), steps.cancel, (CANCELLING,)),
    ((H, R, S), (i.ClaimsExceeded,), steps.cancel, (FAILING,)),
    ((*ENDING, CANCELLED), (Cancel,), steps.ignore, ()),
    (ENDING, (d.JobCancelled,), steps.job_cancelled, ()),
    ((CANCELLING,), (i.ReservationReleased,), steps.stock_released, (CANCELLED,)),
    ((FAILING,), (i.ReservationReleased,), steps.stock_released, (FAILED,)),
    (ENDING, (d.JobLoaded,), steps.loaded, (LOADED,)),
    (ENDING, (d.CancelRefused,), steps.cancel_refused, (LOADED,)),
    (ENDING, (Overdue,), steps.repeat, ()),
    ((P, H, R, S, READY, LOADED), (Paid,), steps.paid, ()),
    ((EXPIRED,), (Paid,), steps.paid_late, (P, CANCELLED)),
    ((*ENDING, *(TERMINAL - {EXPIRED})), (Paid,), steps.paid_in_vain, ()),
    (tuple(TERMINAL), (Refund,), steps.refund, ()),
)


def _table() -> Iterator[tuple[tuple[State, type], Step]]:
    yield from (((state, fact), Step(steps.ignore, ())) for state in State for fact in FACTS)
    yield from (((state, ask), Step(steps.refuse, ())) for state in State for ask in ASKS)
    for states, messages, act, to in _ROWS:
        yield from (((state, message), Step(act, to)) for state in states for message in messages)


TRANSITIONS: dict[tuple[State, type], Step] = dict(_table())
"""Every state x every message: facts that have no row are ignored, asks that have none are refused."""


def decide(order: Order, message: Any, now: datetime) -> Decision:
    """The order after `message` and what follows from it. `now` is business time, read under the order's lock.

    A message that names another attempt, reservation or job than the current one is ignored, and so is a payment
    that is known. Every end but delivered and collected gives back what was paid, each payment once. Entering a
    state sets that state's deadline.
    """
    if not _is_current(order, message):
        return steps.ignore(order, message, now)
    if isinstance(message, Paid) and (why := _wrong_money(order, message)):
        return Decision(order, step=False, refused=why)
    decision = TRANSITIONS[order.state, type(message)].act(order, message, now)
    after = decision.order
    if not decision.step:
        return decision
    if after.state in UNKEPT:
        decision = steps.refunded(decision)
    if after.state is not order.state or (isinstance(message, Overdue | d.JobCancelled | d.JobPlanned)):
        decision = replace(decision, deadlines=(deadline(after),))
    return replace(decision, order=replace(decision.order, version=order.version + 1))


def placed(order: Order) -> Decision:
    """The first step: what an accepted order sends. Its stock is held, not firm, while its money is awaited."""
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
    command = steps.reserve(order, firm=terms.payment is not Payment.PENDING)
    return Decision(order, (event,), (command,), (deadline(order),))


def deadline(order: Order) -> Deadline:
    """How long an order may stay as it is. Waits for another service run in real time, all else on the business clock.

    For scheduled and loaded orders it is an alarm only.
    """
    match order.state:
        case State.PLACED:
            return Deadline(wait=PLACED_WAIT)
        case State.CANCELLING | State.FAILING:
            return Deadline(wait=ANSWER_WAIT)
        case State.HELD if order.hold_until:
            return Deadline(at=order.hold_until + HOLD_GRACE)
        case State.RESERVED if order.terms.is_delivery:
            return Deadline(at=order.terms.due_by)
        case State.READY:
            return Deadline(at=order.terms.due_by)
        case State.SCHEDULED | State.LOADED:
            return Deadline(at=order.slot_until)
        case _:
            return Deadline()


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
        return f"payment {message.payment} is known with another amount"
    total = order.terms.total_fen
    return "" if message.amount_fen == total else f"the order costs {total} fen: it is paid in one sum"
