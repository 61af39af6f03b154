"""Every row of the order's life, as given/when/then; and every pair of state and message has an answer."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from contracts.events import dispatch as d
from contracts.events import inventory as i
from contracts.values import reservation_of
from services.orders.domain.order.order import (
    TERMINAL,
    Awaiting,
    Cancel,
    Collect,
    Money,
    OrderDeadline,
    OrderState,
    Paid,
    Ready,
    Refund,
    Timeout,
)
from services.orders.domain.order.state_machine import FACTS, REQUESTS, TRANSITIONS, decide
from services.orders.handlers import SUBSCRIPTIONS
from tests.unit.orders_given import CLOSES, NOW, SLOT, Case, message

S = OrderState
PAY = Paid("p1", 1200)
TWO_MINUTES, ONE_MINUTE = OrderDeadline(wait=timedelta(minutes=2)), OrderDeadline(wait=timedelta(minutes=1))
ASK = {Cancel: Cancel("why"), Paid: PAY, Ready: Ready(), Collect: Collect("123456"), Refund: Refund()}


@pytest.mark.parametrize("state", OrderState)
@pytest.mark.parametrize("kind", [*FACTS, *REQUESTS])
def test_every_state_and_message_has_an_answer(state: OrderState, kind: type):
    case = Case.given(state, hold_until=SLOT, slot_from=SLOT, slot_until=SLOT, wave="w0")
    made = Timeout() if kind is Timeout else ASK.get(kind) or message(kind, case.order)
    decision = decide(case.order, made, NOW)
    step = TRANSITIONS[state, kind]
    assert decision.order.state in {state, *step.to}
    assert decision.order.version == case.order.version + decision.step
    if kind in FACTS:
        assert not decision.refused
    if state in TERMINAL and state is not S.EXPIRED:
        assert decision.order.state is state


def test_the_table_is_the_full_product():
    assert set(TRANSITIONS) == {(state, kind) for state in OrderState for kind in (*FACTS, *REQUESTS)}


@pytest.mark.parametrize(("payment", "firm", "ttl"), [("on_account", True, None), ("pending", False, 900)])
def test_accepted(payment: str, firm: bool, ttl: int | None):
    case = Case.given(payment=payment).accepted().then(S.PLACED, "OrderPlaced", "ReserveStock")
    (reserve,) = case.commands
    assert isinstance(reserve, i.ReserveStock)
    assert (reserve.firm, reserve.ttl_s, reserve.attempt) == (firm, ttl, 1)
    assert reserve.reservation == reservation_of(case.order.id, "sat@square", 1)
    assert case.last.deadlines == (TWO_MINUTES,)


def test_placed_firm_delivery_is_scheduled():
    case = Case.given().when(i.StockReserved).then(S.RESERVED, "OrderReserved", "ScheduleDelivery")
    assert case.last.deadlines == (OrderDeadline(at=SLOT),)


def test_placed_firm_pickup_waits_for_its_point():
    case = Case.given(pickup=True).when(i.StockReserved).then(S.RESERVED, "OrderReserved")
    assert case.last.deadlines == (OrderDeadline(),)


def test_placed_held_waits_for_money():
    case = Case.given(payment="pending").when(i.StockReserved, firm=False, expires_at=SLOT).then(S.HELD, "OrderHeld")
    assert case.last.deadlines == (OrderDeadline(at=SLOT + timedelta(minutes=5)),)


def test_placed_held_with_money_here_already_is_committed():
    case = Case.given(payment="pending").when(PAY).then(S.PLACED)
    case.when(i.StockReserved, firm=False, expires_at=SLOT).then(S.HELD, "OrderHeld", "CommitStock")


@pytest.mark.parametrize(("payment", "refund"), [("on_account", []), ("prepaid", ["OrderRefunded"])])
def test_placed_refused_is_rejected_with_the_reason(payment: str, refund: list[str]):
    case = (
        Case.given(payment=payment).when(i.StockRefused, reason="none left").then(S.REJECTED, "OrderRejected", *refund)
    )
    assert case.order.reason == "none left"


def test_placed_or_held_paid_is_kept():
    assert Case.given(payment="pending").when(PAY).then(S.PLACED).order.paid_fen == 1200
    assert Case.given(S.HELD, "pending").when(PAY).then(S.HELD, "CommitStock").order.paid_fen == 1200


def test_held_committed_goes_on():
    Case.given(S.HELD, "pending").when(i.StockCommitted).then(S.RESERVED, "OrderReserved", "ScheduleDelivery")


@pytest.mark.parametrize("kind", [i.ReservationExpired, i.CommitRefused])
def test_held_ended_unpaid_expires(kind: type):
    Case.given(S.HELD, "pending").when(kind).then(S.EXPIRED, "OrderExpired")


@pytest.mark.parametrize("kind", [i.ReservationExpired, i.CommitRefused])
def test_held_ended_but_paid_is_tried_once_more(kind: type):
    case = Case.given(S.HELD, "pending").when(PAY).when(kind).then(S.PLACED, "OrderReopened", "ReserveStock")
    reserve = case.commands[-1]
    assert isinstance(reserve, i.ReserveStock)
    assert (reserve.attempt, reserve.firm) == (2, True)
    assert reserve.reservation != reservation_of(case.order.id, "sat@square", 1)
    case.when(i.StockRefused).then(S.REJECTED, "OrderRejected", "OrderRefunded")


def test_expired_then_paid_is_tried_once_more():
    Case.given(S.EXPIRED, "pending").when(PAY).then(S.PLACED, "OrderReopened", "ReserveStock")


def test_late_money_after_the_market_closed_goes_back():
    case = Case.given(S.EXPIRED, "pending")
    case.now = CLOSES
    case.when(PAY).then(S.CANCELLED, "OrderCancelled", "OrderRefunded")
    assert case.order.refunded_fen == case.order.paid_fen == 1200


def test_late_money_is_resolved_only_once():
    case = Case.given(S.HELD, "pending", attempt=2, money=(Money("p0", 1200),))
    case.when(i.ReservationExpired).then(S.CANCELLED, "OrderCancelled", "OrderRefunded")


@pytest.mark.parametrize("as_promised", [True, False])
def test_reserved_planned_is_scheduled(as_promised: bool):
    case = Case.given(S.RESERVED).when(d.JobPlanned, as_promised=as_promised).then(S.SCHEDULED, "OrderScheduled")
    assert case.order.as_promised is as_promised
    assert case.last.deadlines == (OrderDeadline(at=SLOT + timedelta(hours=1)),)


def test_scheduled_moves_to_a_later_slot_and_a_repeat_is_nothing_new():
    case = Case.given(S.RESERVED).when(d.JobPlanned).when(d.JobPlanned).then(S.SCHEDULED)
    assert not case.last.step
    case.when(d.JobPlanned, wave="w2", as_promised=False).then(S.SCHEDULED, "OrderScheduled")


@pytest.mark.parametrize("state", [S.RESERVED, S.SCHEDULED])
def test_job_refused_fails_after_the_stock_is_back(state: OrderState):
    case = Case.given(state, "prepaid").when(d.JobRefused, reason="no wave").then(S.FAILING, "ReleaseStock")
    case.when(i.ReservationReleased).then(S.FAILED, "OrderFailed", "OrderRefunded")
    assert case.order.reason == "no wave"


@pytest.mark.parametrize("state", [S.RESERVED, S.SCHEDULED])
def test_job_loaded(state: OrderState):
    Case.given(state).when(d.JobLoaded).then(S.LOADED, "OrderLoaded")


def test_loaded_then_delivered_or_returned():
    Case.given(S.LOADED, "prepaid").when(d.JobDelivered).then(S.DELIVERED, "OrderDelivered")
    case = Case.given(S.LOADED, "prepaid").when(d.AttemptFailed).then(S.LOADED)
    assert case.last.step
    case.when(d.JobReturned).then(S.RETURNED, "OrderReturned", "OrderRefunded")


def test_pickup_ready_then_collected():
    case = Case.given(S.RESERVED, pickup=True).when(Ready()).then(S.READY, "OrderReady")
    assert case.last.deadlines == (OrderDeadline(at=SLOT),)
    assert case.when(Collect("000000")).then(S.READY).last.refused
    case.when(Collect("123456")).then(S.COLLECTED, "OrderCollected")
    assert not case.when(Collect("123456")).then(S.COLLECTED).last.refused


def test_pickup_not_collected_by_closing_time_is_returned():
    Case.given(S.READY, "prepaid", pickup=True).when(Timeout()).then(S.RETURNED, "OrderReturned", "OrderRefunded")


def test_delivery_is_never_ready():
    assert Case.given(S.RESERVED).when(Ready()).then(S.RESERVED).last.refused


@pytest.mark.parametrize(("state", "pickup"), [(S.PLACED, False), (S.HELD, False), (S.RESERVED, True), (S.READY, True)])
def test_cancel_without_a_delivery_releases_the_stock(state: OrderState, pickup: bool):
    case = Case.given(state, "prepaid", pickup=pickup).when(Cancel("moved")).then(S.CANCELLING, "ReleaseStock")
    assert case.last.deadlines == (ONE_MINUTE,)
    case.when(i.StockReserved).then(S.CANCELLING)
    case.when(i.ReservationReleased).then(S.CANCELLED, "OrderCancelled", "OrderRefunded")
    assert case.last.deadlines == (OrderDeadline(),)


@pytest.mark.parametrize("state", [S.RESERVED, S.SCHEDULED])
def test_cancel_of_a_delivery_goes_in_strict_reverse_order(state: OrderState):
    case = Case.given(state).when(Cancel("moved")).then(S.CANCELLING, "CancelDelivery")
    case.when(i.ReservationReleased).then(S.CANCELLING)
    case.when(d.JobCancelled).then(S.CANCELLING, "ReleaseStock")
    assert case.last.deadlines == (ONE_MINUTE,)
    case.when(d.JobCancelled).then(S.CANCELLING)
    case.when(i.ReservationReleased).then(S.CANCELLED, "OrderCancelled")


@pytest.mark.parametrize("state", [S.LOADED, S.DELIVERED, S.COLLECTED, S.RETURNED])
def test_cancel_comes_too_late(state: OrderState):
    assert Case.given(state).when(Cancel()).then(state).last.refused


def test_cancel_again_is_fine():
    for state in (S.CANCELLING, S.FAILING, S.CANCELLED):
        assert not Case.given(state).when(Cancel()).then(state).last.refused


@pytest.mark.parametrize(
    ("state", "pickup", "command"),
    [
        (S.HELD, False, "ReleaseStock"),
        (S.RESERVED, False, "CancelDelivery"),
        (S.RESERVED, True, "ReleaseStock"),
        (S.SCHEDULED, False, "CancelDelivery"),
    ],
)
def test_claims_exceeded_goes_the_cancel_path_as_failing(state: OrderState, pickup: bool, command: str):
    Case.given(state, pickup=pickup).when(i.ClaimsExceeded).then(S.FAILING, command)


def test_claims_exceeded_that_names_another_reservation_is_ignored():
    Case.given(S.RESERVED).when(i.ClaimsExceeded, reservations=[uuid4()]).then(S.RESERVED)


@pytest.mark.parametrize("state", [S.CANCELLING, S.FAILING])
@pytest.mark.parametrize("kind", [d.CancelRefused, d.JobLoaded])
def test_cancel_that_comes_too_late_at_dispatch(state: OrderState, kind: type):
    case = Case.given(state, awaiting=Awaiting.JOB_CANCELLED).when(kind).then(S.LOADED, "OrderLoaded")
    assert case.order.reason.startswith("too late")


@pytest.mark.parametrize("state", [S.CANCELLING, S.FAILING])
@pytest.mark.parametrize("kind", [i.StockReserved, i.StockRefused, i.StockCommitted, d.JobPlanned, d.JobRefused])
def test_any_other_answer_is_ignored_while_ending(state: OrderState, kind: type):
    assert not Case.given(state, awaiting=Awaiting.STOCK_RELEASED).when(kind).then(state).last.step


@pytest.mark.parametrize("state", [S.CANCELLING, S.FAILING, *(TERMINAL - {S.EXPIRED})])
def test_money_for_what_is_ending_goes_back_once(state: OrderState):
    case = Case.given(state, awaiting=Awaiting.STOCK_RELEASED).when(PAY).then(state, "OrderRefunded")
    assert not case.when(PAY).then(state).last.step
    assert case.order.refunded_fen == 1200


def test_money_twice_goes_back_and_another_sum_is_refused():
    case = Case.given(S.RESERVED, "prepaid").when(PAY).then(S.RESERVED, "OrderRefunded")
    assert (case.order.paid_fen, case.order.refunded_fen) == (2400, 1200)
    assert case.when(Paid("p2", 1)).last.refused
    assert case.when(Paid("p1", 1)).last.refused


@pytest.mark.parametrize("state", [S.DELIVERED, S.COLLECTED])
def test_refund_of_a_delivered_order_goes_back_once(state: OrderState):
    case = Case.given(state, "prepaid").when(Refund()).then(state, "OrderRefunded")
    assert not case.when(Refund()).then(state).last.step
    assert Case.given(state).when(Refund()).last.refused
    assert Case.given(S.RESERVED, "prepaid").when(Refund()).last.refused


@pytest.mark.parametrize("kind", [one for one in FACTS if one not in {Timeout, i.ClaimsExceeded}])
@pytest.mark.parametrize("state", OrderState)
def test_another_attempt_is_ignored(state: OrderState, kind: type):
    case = Case.given(state, attempt=2).when(kind, reservation=reservation_of(an_id(), "sat@square", 1))
    assert not case.last.step


def an_id():
    return Case.given().order.id


def test_deadlines_of_waits_for_an_answer():
    Case.given().when(Timeout()).then(S.FAILING, "ReleaseStock")
    again = (
        Case.given(S.CANCELLING, awaiting=Awaiting.STOCK_RELEASED).when(Timeout()).then(S.CANCELLING, "ReleaseStock")
    )
    assert again.last.deadlines == (ONE_MINUTE,)
    Case.given(S.FAILING, awaiting=Awaiting.JOB_CANCELLED).when(Timeout()).then(S.FAILING, "CancelDelivery")


def test_deadline_of_a_hold():
    Case.given(S.HELD, "pending").when(Timeout()).then(S.EXPIRED, "OrderExpired", "ReleaseStock")
    paid = Case.given(S.HELD, "pending").when(PAY).when(Timeout())
    paid.then(S.PLACED, "OrderReopened", "ReleaseStock", "ReserveStock")
    release, reserve = paid.commands[-2:]
    assert release.subject == str(reservation_of(an_id(), "sat@square", 1))
    assert reserve.subject == str(reservation_of(an_id(), "sat@square", 2))


def test_deadline_of_a_delivery_that_nobody_planned():
    Case.given(S.RESERVED).when(Timeout()).then(S.FAILING, "CancelDelivery")


@pytest.mark.parametrize("state", [S.SCHEDULED, S.LOADED])
def test_deadline_on_the_way_is_an_alarm_only(state: OrderState):
    assert not Case.given(state).when(Timeout()).then(state).last.step


def test_every_fact_of_the_table_is_subscribed_to():
    subscribed = {kind for subscription in SUBSCRIPTIONS for kind in subscription.handlers}
    assert set(FACTS) - {Timeout} <= subscribed
