"""What each step of an order's life does: pure functions from an order and a message to a decision.

`fulfilment.TRANSITIONS` says which of them answers which message in which state.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from contracts.envelope import Event
from contracts.events import dispatch, inventory, orders
from contracts.values import CancelReason, UndeliveredReason
from services.orders.domain.order.order import (
    WRONG_CODE,
    Awaiting,
    Cancel,
    Collect,
    Order,
    OrderDecision,
    OrderState,
    Paid,
    Refund,
)


def ignore(order: Order, _message: Any, _now: datetime) -> OrderDecision:
    """Nothing to do: late, repeated, or not the answer that is awaited."""
    return OrderDecision(order, step=False)


def refuse(order: Order, _message: Any, _now: datetime) -> OrderDecision:
    """An ask that cannot be granted in this state."""
    return OrderDecision(order, step=False, refused=f"an order that is {order.state} does not allow this")


def reserve(order: Order, *, firm: bool) -> inventory.ReserveStock:
    """The command that claims stock for the current attempt: firm, or held while money is awaited."""
    how = {"firm": firm, "ttl_s": None if firm else order.terms.hold_ttl_s, "source": order.source}
    return inventory.ReserveStock(**_claim(order), **how, attempt=order.attempt, lines=order.terms.goods)


def stock_reserved(order: Order, message: inventory.StockReserved, now: datetime) -> OrderDecision:
    """Firm stock goes on to delivery or waits for its pickup; held stock waits for money."""
    if message.firm:
        return stock_firm(order, message, now)
    held = replace(order, state=OrderState.HELD, hold_until=message.expires_at or now)
    event = orders.OrderHeld(order=order.id, reservation=order.reservation, expires_at=held.hold_until or now)
    return OrderDecision(held, (event,), (_commit(order),) if order.is_paid else ())


def stock_firm(order: Order, _message: Any, _now: datetime) -> OrderDecision:
    """The stock is ours; a delivery is scheduled."""
    reserved = replace(order, state=OrderState.RESERVED, hold_until=None)
    event = orders.OrderReserved(order=order.id, reservation=order.reservation)
    return OrderDecision(reserved, (event,), (_schedule(order),) if order.terms.is_delivery else ())


def stock_refused(order: Order, message: inventory.StockRefused, _now: datetime) -> OrderDecision:
    """No stock: the order ends with inventory's reason."""
    rejected = replace(order, state=OrderState.REJECTED, reason=message.reason)
    return OrderDecision(rejected, (orders.OrderRejected(order=order.id, reason=message.reason),))


def paid(order: Order, message: Paid, _now: datetime) -> OrderDecision:
    """Money is kept; a hold is made firm. Money that came twice goes back at once."""
    if order.is_paid:
        return give_back(order.with_money(message.payment, message.amount_fen), message.payment)
    commands = (_commit(order),) if order.state is OrderState.HELD else ()
    return OrderDecision(order.with_money(message.payment, message.amount_fen), commands=commands)


def paid_in_vain(order: Order, message: Paid, _now: datetime) -> OrderDecision:
    """Money for an order that is ending or has ended goes back."""
    return give_back(order.with_money(message.payment, message.amount_fen), message.payment)


def paid_late(order: Order, message: Paid, now: datetime) -> OrderDecision:
    """Money for an order that expired: tried once more, or given back."""
    return resolve(order.with_money(message.payment, message.amount_fen), now)


def hold_ended(order: Order, message: Any, now: datetime) -> OrderDecision:
    """The hold is gone: the order expires, unless its money is here."""
    if order.is_paid:
        return resolve(order, now)
    reason = getattr(message, "reason", "") or "not paid in time"
    return OrderDecision(
        replace(order, state=OrderState.EXPIRED, reason=reason), (orders.OrderExpired(order=order.id, reason=reason),)
    )


def resolve(order: Order, now: datetime) -> OrderDecision:
    """Paid, and the hold is gone: one new attempt while the market day is open, else cancelled (and so refunded)."""
    if order.attempt == 1 and now < order.terms.closes_at:
        again = replace(order, state=OrderState.PLACED, attempt=2, reason="", hold_until=None)
        reopened = orders.OrderReopened(order=order.id, attempt=again.attempt)
        return OrderDecision(again, (reopened,), (reserve(again, firm=True),))
    return _cancelled(replace(order, reason=CancelReason.PAID_TOO_LATE))


def job_planned(order: Order, message: dispatch.JobPlanned, _now: datetime) -> OrderDecision:
    """Dispatch has a slot for it, the promised one or a later one; a repeat of the same slot is nothing new."""
    if order.state is OrderState.SCHEDULED and (order.wave, order.slot_from) == (message.wave, message.slot_from):
        return OrderDecision(order, step=False)
    planned = replace(
        order,
        state=OrderState.SCHEDULED,
        wave=message.wave,
        slot_from=message.slot_from,
        slot_until=message.slot_until,
        as_promised=message.as_promised,
    )
    event = orders.OrderScheduled(
        order=order.id,
        job=order.job,
        wave=message.wave,
        slot_from=message.slot_from,
        slot_until=message.slot_until,
        as_promised=message.as_promised,
    )
    return OrderDecision(planned, (event,))


def job_refused(order: Order, message: dispatch.JobRefused, _now: datetime) -> OrderDecision:
    """It cannot be delivered: the stock is given up."""
    return _release(order, OrderState.FAILING, message.reason)


def loaded(order: Order, message: Any, _now: datetime) -> OrderDecision:
    """The goods are on their way, also where a cancel was under way: that one came too late."""
    too_late = order.state in {OrderState.CANCELLING, OrderState.FAILING}
    reason = f"too late to stop: {getattr(message, 'reason', '') or 'already loaded'}" if too_late else ""
    moved = replace(order, state=OrderState.LOADED, awaiting=Awaiting.NOTHING, reason=reason)
    return OrderDecision(moved, (orders.OrderLoaded(order=order.id, job=order.job),))


def cancel_refused(order: Order, message: dispatch.CancelRefused, now: datetime) -> OrderDecision:
    """Dispatch says that it is too late, if that is the answer that is awaited."""
    return loaded(order, message, now) if order.awaiting is Awaiting.JOB_CANCELLED else ignore(order, message, now)


def delivered(order: Order, _message: Any, _now: datetime) -> OrderDecision:
    """Handed over with proof."""
    return OrderDecision(
        replace(order, state=OrderState.DELIVERED), (orders.OrderDelivered(order=order.id, job=order.job),)
    )


def attempt_failed(order: Order, _message: Any, _now: datetime) -> OrderDecision:
    """A try at the door failed; it is kept as a step and the courier goes on."""
    return OrderDecision(order)


def returned(order: Order, message: Any, _now: datetime) -> OrderDecision:
    """Not handed over: brought back by the courier, or left at the point until closing time."""
    reason = message.reason if isinstance(message, dispatch.JobReturned) else UndeliveredReason.NOT_COLLECTED
    event = orders.OrderReturned(
        order=order.id,
        pool=order.terms.pool,
        reservation=order.reservation,
        fulfilment=order.terms.fulfilment,
        lines=order.terms.goods,
        reason=reason,
    )
    return OrderDecision(replace(order, state=OrderState.RETURNED, reason=reason), (event,))


def ready(order: Order, message: Any, now: datetime) -> OrderDecision:
    """The pickup is at its point and may be collected with the code."""
    if order.terms.is_delivery:
        return refuse(order, message, now)
    return OrderDecision(
        replace(order, state=OrderState.READY), (orders.OrderReady(order=order.id, point=order.terms.point),)
    )


def collect(order: Order, message: Collect, _now: datetime) -> OrderDecision:
    """The right code takes the goods out; any other changes nothing. A repeat with the right code is fine."""
    if not order.terms.has_code(message.code):
        return OrderDecision(order, step=False, refused=WRONG_CODE)
    if order.state is OrderState.COLLECTED:
        return OrderDecision(order, step=False)
    terms = order.terms
    event = orders.OrderCollected(order=order.id, pool=terms.pool, reservation=order.reservation, lines=terms.goods)
    return OrderDecision(replace(order, state=OrderState.COLLECTED), (event,))


def cancel(order: Order, message: Any, _now: datetime) -> OrderDecision:
    """Ends it in strict reverse order: first the delivery, and only when that is off, the stock."""
    by_buyer = isinstance(message, Cancel)
    state = OrderState.CANCELLING if by_buyer else OrderState.FAILING
    reason = message.reason if by_buyer else "a fact took the stock away"
    if order.state is OrderState.SCHEDULED or (order.state is OrderState.RESERVED and order.terms.is_delivery):
        return _cancel_delivery(order, state, reason)
    return _release(order, state, reason)


def job_cancelled(order: Order, message: Any, now: datetime) -> OrderDecision:
    """The delivery is off, so the stock may be given up."""
    if order.awaiting is not Awaiting.JOB_CANCELLED:
        return ignore(order, message, now)
    return _release(order, order.state, order.reason)


def stock_released(order: Order, message: Any, now: datetime) -> OrderDecision:
    """Nothing is claimed any more: the order has ended."""
    if order.awaiting is not Awaiting.STOCK_RELEASED:
        return ignore(order, message, now)
    ended = replace(order, awaiting=Awaiting.NOTHING)
    if order.state is OrderState.CANCELLING:
        return _cancelled(ended)
    failed = replace(ended, state=OrderState.FAILED)
    return OrderDecision(failed, (orders.OrderFailed(order=order.id, reason=order.reason),))


def refund(order: Order, _message: Refund, _now: datetime) -> OrderDecision:
    """What was paid for an order that has ended goes back; asked again, nothing more does."""
    if not order.money:
        return OrderDecision(order, step=False, refused="nothing was paid for this order")
    due = [one for one in order.money if not one.refunded]
    return refunded(OrderDecision(order)) if due else OrderDecision(order, step=False)


def unanswered(order: Order, _message: Any, _now: datetime) -> OrderDecision:
    """Inventory did not answer in time: given up, whatever it did."""
    return _release(order, OrderState.FAILING, "no answer about the stock")


def hold_overdue(order: Order, message: Any, now: datetime) -> OrderDecision:
    """The hold's end was not reported: it is given up and what follows is as if it had been."""
    decision = hold_ended(order, message, now)
    return replace(decision, commands=(_release_command(order), *decision.commands))


def unplanned(order: Order, _message: Any, _now: datetime) -> OrderDecision:
    """The slot begins and no job was planned: the delivery is called off."""
    return _cancel_delivery(order, OrderState.FAILING, "no delivery was planned before the slot began")


def late(order: Order, _message: Any, _now: datetime) -> OrderDecision:
    """The slot is over: an alarm for people, nothing for the order."""
    return OrderDecision(order, step=False)


def repeat(order: Order, _message: Any, _now: datetime) -> OrderDecision:
    """No answer to the last command: the same again."""
    is_delivery = order.awaiting is Awaiting.JOB_CANCELLED
    return OrderDecision(order, commands=(_cancel_command(order) if is_delivery else _release_command(order),))


def give_back(order: Order, payment: str) -> OrderDecision:
    """One payment goes back."""
    money = tuple(replace(one, refunded=True) if one.payment == payment else one for one in order.money)
    amount = next(one.amount_fen for one in order.money if one.payment == payment)
    event = orders.OrderRefunded(order=order.id, amount_fen=amount, payment=payment)
    return OrderDecision(replace(order, money=money), (event,))


def refunded(decision: OrderDecision) -> OrderDecision:
    """The decision with all money that is still here going back, each payment once."""
    for one in [money for money in decision.order.money if not money.refunded]:
        back = give_back(decision.order, one.payment)
        decision = replace(decision, order=back.order, events=(*decision.events, *back.events))
    return decision


def _cancelled(order: Order) -> OrderDecision:
    event: Event = orders.OrderCancelled(order=order.id, reason=CancelReason(order.reason))
    return OrderDecision(replace(order, state=OrderState.CANCELLED, hold_until=None), (event,))


def _release(order: Order, state: OrderState, reason: str) -> OrderDecision:
    moved = replace(order, state=state, reason=reason, awaiting=Awaiting.STOCK_RELEASED)
    return OrderDecision(moved, commands=(_release_command(order),))


def _cancel_delivery(order: Order, state: OrderState, reason: str) -> OrderDecision:
    moved = replace(order, state=state, reason=reason, awaiting=Awaiting.JOB_CANCELLED)
    return OrderDecision(moved, commands=(_cancel_command(order),))


def _claim(order: Order) -> dict[str, Any]:
    return {"reservation": order.reservation, "pool": order.terms.pool, "order": order.id}


def _release_command(order: Order) -> Event:
    return inventory.ReleaseStock(**_claim(order))


def _commit(order: Order) -> Event:
    return inventory.CommitStock(**_claim(order))


def _cancel_command(order: Order) -> Event:
    return dispatch.CancelDelivery(**_claim(order))


def _schedule(order: Order) -> Event:
    terms = order.terms
    where = {"market_day": terms.market_day, "community": terms.community}
    return dispatch.ScheduleDelivery(**_claim(order), **where, lines=terms.goods, quote=terms.quote)
