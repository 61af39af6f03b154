"""The steps of an order: pure functions from an order and a message to a decision.

`state_machine.TRANSITIONS` names the function for each state and message.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from contracts.envelope import Event
from contracts.events import dispatch, inventory, orders
from contracts.values import CancelReason, UndeliveredReason
from services.orders.domain.order import outgoing
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
    """Do nothing: the message is late, repeated, or not the awaited answer."""
    return OrderDecision(order, step=False)


def refuse(order: Order, _message: Any, _now: datetime) -> OrderDecision:
    """Refuse a request that this state does not allow."""
    return OrderDecision(order, step=False, refused=f"order {order.id} is {order.state}, which does not allow this")


def stock_reserved(order: Order, message: inventory.StockReserved, now: datetime) -> OrderDecision:
    """Schedule the delivery of firm stock, or wait for its pickup; held stock waits for the payment."""
    if message.firm:
        return stock_firm(order, message, now)
    held = replace(order, state=OrderState.HELD, hold_until=message.expires_at or now)
    event = orders.OrderHeld(order=order.id, reservation=order.reservation, expires_at=held.hold_until or now)
    return OrderDecision(held, (event,), (outgoing.commit_stock(order),) if order.is_paid else ())


def stock_firm(order: Order, _message: Any, _now: datetime) -> OrderDecision:
    """Mark the order as reserved and schedule its delivery."""
    reserved = replace(order, state=OrderState.RESERVED, hold_until=None)
    event = orders.OrderReserved(order=order.id, reservation=order.reservation)
    return OrderDecision(reserved, (event,), (outgoing.schedule_delivery(order),) if order.terms.is_delivery else ())


def stock_refused(order: Order, message: inventory.StockRefused, _now: datetime) -> OrderDecision:
    """End the order with inventory's reason: there is no stock."""
    rejected = replace(order, state=OrderState.REJECTED, reason=message.reason)
    return OrderDecision(rejected, (orders.OrderRejected(order=order.id, reason=message.reason),))


def paid(order: Order, message: Paid, _now: datetime) -> OrderDecision:
    """Record a payment and make a hold firm. A second payment is refunded at once."""
    if order.is_paid:
        return refund_unneeded(order, message, _now)
    commands = (outgoing.commit_stock(order),) if order.state is OrderState.HELD else ()
    return OrderDecision(order.with_money(message.payment, message.amount_fen), commands=commands)


def refund_unneeded(order: Order, message: Paid, _now: datetime) -> OrderDecision:
    """Record and refund a payment that is not needed: the order is paid, ending, or has ended. Only money that was
    received can be given back.
    """
    if not message.has_receipt:
        why = f"order {order.id} needs no payment, and only one that a provider reported is given back"
        return OrderDecision(order, step=False, refused=why)
    return refund_payment(order.with_money(message.payment, message.amount_fen), message.payment)


def paid_late(order: Order, message: Paid, now: datetime) -> OrderDecision:
    """Reopen an expired order that was paid, or refund the payment."""
    return reopen_or_cancel(order.with_money(message.payment, message.amount_fen), now)


def hold_ended(order: Order, message: Any, now: datetime) -> OrderDecision:
    """Expire an order after the end of its hold, unless it is paid."""
    if order.is_paid:
        return reopen_or_cancel(order, now)
    reason = getattr(message, "reason", "") or "not paid in time"
    return OrderDecision(
        replace(order, state=OrderState.EXPIRED, reason=reason), (orders.OrderExpired(order=order.id, reason=reason),)
    )


def reopen_or_cancel(order: Order, now: datetime) -> OrderDecision:
    """Start a second attempt of a paid order without a hold while its market day is open, else cancel it, which
    refunds it.
    """
    if order.attempt == 1 and now < order.terms.closes_at:
        again = replace(order, state=OrderState.PLACED, attempt=2, reason="", hold_until=None)
        reopened = orders.OrderReopened(order=order.id, attempt=again.attempt)
        return OrderDecision(again, (reopened,), (outgoing.reserve_stock(again, firm=True),))
    return _cancelled(replace(order, reason=CancelReason.PAID_TOO_LATE))


def job_planned(order: Order, message: dispatch.JobPlanned, _now: datetime) -> OrderDecision:
    """Record the slot that dispatch planned, the promised one or a later one; the same slot again is no step."""
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
    """Release the stock of an order that cannot be delivered."""
    return _release(order, OrderState.FAILING, message.reason)


def loaded(order: Order, message: Any, _now: datetime) -> OrderDecision:
    """Mark the goods as on their way, also where a cancel was being processed: it came too late."""
    too_late = order.state in {OrderState.CANCELLING, OrderState.FAILING}
    reason = f"too late to stop: {getattr(message, 'reason', '') or 'already loaded'}" if too_late else ""
    moved = replace(order, state=OrderState.LOADED, awaiting=Awaiting.NOTHING, reason=reason)
    return OrderDecision(moved, (orders.OrderLoaded(order=order.id, job=order.job),))


def cancel_refused(order: Order, message: dispatch.CancelRefused, now: datetime) -> OrderDecision:
    """Treat dispatch's refusal of a cancel as a loaded order, where that is the awaited answer."""
    return loaded(order, message, now) if order.awaiting is Awaiting.JOB_CANCELLED else ignore(order, message, now)


def delivered(order: Order, _message: Any, _now: datetime) -> OrderDecision:
    """Mark the order as handed over with proof."""
    return OrderDecision(
        replace(order, state=OrderState.DELIVERED), (orders.OrderDelivered(order=order.id, job=order.job),)
    )


def attempt_failed(order: Order, _message: Any, _now: datetime) -> OrderDecision:
    """Record a failed attempt at the door as a step; the courier continues."""
    return OrderDecision(order)


def returned(order: Order, message: Any, _now: datetime) -> OrderDecision:
    """Mark the goods as returned: by the courier, or because the point closed before they were collected."""
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
    """Mark a pickup as ready to be collected with the code; a delivery is refused."""
    if order.terms.is_delivery:
        return refuse(order, message, now)
    return OrderDecision(
        replace(order, state=OrderState.READY), (orders.OrderReady(order=order.id, point=order.terms.point),)
    )


def collect(order: Order, message: Collect, _now: datetime) -> OrderDecision:
    """Hand the goods over against the right code; a wrong one changes nothing. Idempotent with the right code."""
    if not order.terms.has_code(message.code):
        return OrderDecision(order, step=False, refused=WRONG_CODE)
    if order.state is OrderState.COLLECTED:
        return OrderDecision(order, step=False)
    terms = order.terms
    event = orders.OrderCollected(order=order.id, pool=terms.pool, reservation=order.reservation, lines=terms.goods)
    return OrderDecision(replace(order, state=OrderState.COLLECTED), (event,))


def cancel(order: Order, message: Any, _now: datetime) -> OrderDecision:
    """End the order in strict reverse order: cancel the delivery, and only after its answer release the stock."""
    by_buyer = isinstance(message, Cancel)
    state = OrderState.CANCELLING if by_buyer else OrderState.FAILING
    reason = message.reason if by_buyer else "a fact took the stock away"
    if order.state is OrderState.SCHEDULED or (order.state is OrderState.RESERVED and order.terms.is_delivery):
        return _cancel_delivery(order, state, reason)
    return _release(order, state, reason)


def job_cancelled(order: Order, message: Any, now: datetime) -> OrderDecision:
    """Release the stock after the delivery was cancelled."""
    if order.awaiting is not Awaiting.JOB_CANCELLED:
        return ignore(order, message, now)
    return _release(order, order.state, order.reason)


def stock_released(order: Order, message: Any, now: datetime) -> OrderDecision:
    """End the order after its stock was released."""
    if order.awaiting is not Awaiting.STOCK_RELEASED:
        return ignore(order, message, now)
    ended = replace(order, awaiting=Awaiting.NOTHING)
    if order.state is OrderState.CANCELLING:
        return _cancelled(ended)
    failed = replace(ended, state=OrderState.FAILED)
    return OrderDecision(failed, (orders.OrderFailed(order=order.id, reason=order.reason),))


def refund(order: Order, _message: Refund, _now: datetime) -> OrderDecision:
    """Refund all payments of an order that has ended. Idempotent."""
    if not order.money:
        return OrderDecision(order, step=False, refused=f"order {order.id} has no payment to refund")
    return refund_all(OrderDecision(order)) if order.is_paid else OrderDecision(order, step=False)


def unanswered(order: Order, _message: Any, _now: datetime) -> OrderDecision:
    """Release the stock, reserved or not, after inventory did not answer in time."""
    return _release(order, OrderState.FAILING, "no answer about the stock")


def hold_overdue(order: Order, message: Any, now: datetime) -> OrderDecision:
    """Release a hold after its end was not reported, and continue as if it had been."""
    decision = hold_ended(order, message, now)
    return replace(decision, commands=(outgoing.release_stock(order), *decision.commands))


def unplanned(order: Order, _message: Any, _now: datetime) -> OrderDecision:
    """Cancel a delivery that has no job when its slot starts."""
    return _cancel_delivery(order, OrderState.FAILING, "no delivery was planned before the slot began")


def late(order: Order, _message: Any, _now: datetime) -> OrderDecision:
    """Change nothing after the end of the slot: it is an alarm for operators only."""
    return OrderDecision(order, step=False)


def repeat_command(order: Order, _message: Any, _now: datetime) -> OrderDecision:
    """Send the last command again: it was not answered."""
    is_delivery = order.awaiting is Awaiting.JOB_CANCELLED
    command = outgoing.cancel_delivery(order) if is_delivery else outgoing.release_stock(order)
    return OrderDecision(order, commands=(command,))


def refund_payment(order: Order, payment: str) -> OrderDecision:
    """Refund one payment."""
    money = tuple(replace(one, refunded=True) if one.payment == payment else one for one in order.money)
    amount = next(one.amount_fen for one in order.money if one.payment == payment)
    event = orders.OrderRefunded(order=order.id, amount_fen=amount, payment=payment)
    return OrderDecision(replace(order, money=money), (event,))


def refund_all(decision: OrderDecision) -> OrderDecision:
    """Add a refund of every payment that was not refunded to the decision."""
    for one in [money for money in decision.order.money if not money.refunded]:
        one_refund = refund_payment(decision.order, one.payment)
        decision = replace(decision, order=one_refund.order, events=(*decision.events, *one_refund.events))
    return decision


def _cancelled(order: Order) -> OrderDecision:
    event: Event = orders.OrderCancelled(order=order.id, reason=CancelReason(order.reason))
    return OrderDecision(replace(order, state=OrderState.CANCELLED, hold_until=None), (event,))


def _release(order: Order, state: OrderState, reason: str) -> OrderDecision:
    moved = replace(order, state=state, reason=reason, awaiting=Awaiting.STOCK_RELEASED)
    return OrderDecision(moved, commands=(outgoing.release_stock(order),))


def _cancel_delivery(order: Order, state: OrderState, reason: str) -> OrderDecision:
    moved = replace(order, state=state, reason=reason, awaiting=Awaiting.JOB_CANCELLED)
    return OrderDecision(moved, commands=(outgoing.cancel_delivery(order),))
