"""An order under any messages in any order, repeated anyhow: money and commands stay right, and it ends."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from contracts.events import dispatch as d
from contracts.events import inventory as i
from contracts.events.orders import OrderRefunded
from services.orders.domain.order.order import (
    TERMINAL,
    UNKEPT,
    Awaiting,
    Cancel,
    Collect,
    Order,
    Paid,
    Ready,
    Refund,
    Timeout,
)
from services.orders.domain.order.state_machine import FACTS, decide, placed
from tests.unit.orders_given import NOW, SLOT, an_order, message

ASKS: list[Any] = [Cancel(), Ready(), Collect("123456"), Refund(), Paid("p1", 1200), Paid("p2", 1200)]
messages = st.lists(st.one_of(st.sampled_from(FACTS), st.sampled_from(ASKS)), max_size=30)
orders = st.builds(an_order, st.sampled_from(["on_account", "prepaid", "pending"]), pickup=st.booleans())


def made(kind: Any, order: Order) -> Any:
    if not isinstance(kind, type):
        return kind
    firm = {"firm": order.terms.payment != "pending", "expires_at": SLOT} if kind is i.StockReserved else {}
    return Timeout() if kind is Timeout else message(kind, order, **firm)


@given(orders, messages)
def test_money_goes_back_once_and_never_more_than_came(order: Order, kinds: list[Any]):
    refunds: list[str] = []
    for kind in kinds:
        decision = decide(order, made(kind, order), NOW)
        order = decision.order
        refunds += [event.payment for event in decision.events if isinstance(event, OrderRefunded)]
        assert order.refunded_fen == 1200 * len(refunds) <= order.paid_fen
        assert len(refunds) == len(set(refunds))
        if order.state in UNKEPT:
            assert order.refunded_fen == order.paid_fen


@given(orders, messages)
def test_a_step_counts_and_all_else_changes_nothing(order: Order, kinds: list[Any]):
    for kind in kinds:
        decision = decide(order, made(kind, order), NOW)
        if decision.step:
            assert decision.order.version == order.version + 1
        else:
            assert (decision.order, decision.events, decision.commands, decision.deadlines) == (order, (), (), ())
        order = decision.order


@given(orders, messages)
def test_stock_is_never_given_up_under_a_delivery(order: Order, kinds: list[Any]):
    asked = off = False
    for kind in kinds:
        decision = decide(order, made(kind, order), NOW)
        if decision.order.attempt != order.attempt:
            asked = off = False
        off |= kind in {d.JobCancelled, d.JobRefused}
        for command in decision.commands:
            asked |= isinstance(command, d.ScheduleDelivery)
            assert not isinstance(command, i.ReleaseStock) or not asked or off
        order = decision.order


@given(orders, messages)
def test_it_ends_once_the_others_answer_and_time_passes(order: Order, kinds: list[Any]):
    waiting = placed(order).commands
    for kind in kinds:
        decision = decide(order, made(kind, order), NOW)
        order, waiting = decision.order, decision.commands or waiting
    for _ in range(8):
        if order.state in TERMINAL:
            break
        order, waiting = settle(order, waiting)
    assert order.state in TERMINAL
    assert order.awaiting is Awaiting.NOTHING or order.state in TERMINAL


def settle(order: Order, waiting: tuple[Any, ...]) -> tuple[Order, tuple[Any, ...]]:
    """Answer the last commands as the other services would; a pickup is readied, a delivery is sent, deadlines pass."""
    answers: dict[type, Any] = {
        i.ReserveStock: i.StockReserved,
        i.ReleaseStock: i.ReservationReleased,
        i.CommitStock: i.StockCommitted,
        d.ScheduleDelivery: d.JobPlanned,
        d.CancelDelivery: d.JobCancelled,
    }
    for kind in [answers[type(command)] for command in waiting] + [
        Ready(),
        d.JobLoaded,
        d.JobReturned,
        Timeout,
    ]:
        decision = decide(order, made(kind, order), NOW)
        order = decision.order
        if decision.commands:
            return order, decision.commands
    return order, ()
