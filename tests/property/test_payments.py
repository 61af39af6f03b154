"""Receipts of any provider for an order under any messages: each counts once, and no more goes back than came."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from contracts.events.orders import OrderRefunded
from services.orders.domain.order.order import TERMINAL, Order, Paid
from services.orders.domain.order.state_machine import FACTS, decide
from services.orders.domain.payment import Mismatch, Notice, ReceiptState, receive
from tests.property.test_orders_state_machine import ASKS, made, orders
from tests.unit.orders_given import NOW, an_order

notices = st.builds(
    Notice,
    st.sampled_from(["simulator", "wx"]),
    st.sampled_from(["t1", "t2"]),
    st.just(an_order().id),
    st.sampled_from([1199, 1200, 1201]),
    st.sampled_from(["CNY", "HKD"]),
    st.just(NOW),
)
steps = st.lists(st.one_of(st.sampled_from([*FACTS, *ASKS]), notices), max_size=30)


@given(orders, steps)
def test_a_matched_receipt_is_one_payment_and_goes_back_at_most_once(order: Order, kinds: list[Any]):
    received: dict[str, int] = {}
    refunds: list[tuple[str, int]] = []
    for kind in kinds:
        message = made(kind, order)
        if isinstance(kind, Notice):
            receipt = receive(kind, order, NOW)
            if receipt.state is ReceiptState.UNMATCHED:
                assert (kind.amount_fen, kind.currency) != (1200, "CNY")
                continue
            message = kind.paid
            received[message.payment] = kind.amount_fen
        decision = decide(order, message, NOW)
        order = decision.order
        refunds += [(e.payment, e.amount_fen) for e in decision.events if isinstance(e, OrderRefunded)]
    paid = {money.payment: money.amount_fen for money in order.money}
    assert received.items() <= paid.items()
    assert len({payment for payment, _ in refunds}) == len(refunds)
    assert all(paid[payment] == amount for payment, amount in refunds)


@given(orders, st.lists(st.one_of(st.sampled_from([*FACTS, *ASKS])), max_size=30))
def test_a_word_without_a_receipt_is_never_refunded_at_once(order: Order, kinds: list[Any]):
    for kind in kinds:
        order = decide(order, made(kind, order), NOW).order
    word = decide(order, Paid("word", 1200, has_receipt=False), NOW)
    if order.is_paid or (order.state in TERMINAL and order.state != "expired"):
        assert word.refused
        assert not word.events


@given(orders, notices)
def test_an_unmatched_receipt_says_why(order: Order, notice: Notice):
    assert receive(notice, None, NOW).reason == Mismatch.UNKNOWN_ORDER
    found = receive(notice, order, NOW)
    if notice.currency != "CNY":
        assert found.reason == Mismatch.OTHER_CURRENCY
    elif notice.amount_fen != 1200:
        assert found.reason == Mismatch.OTHER_AMOUNT
    else:
        assert (found.state, found.reason) == (ReceiptState.MATCHED, "")
    assert found.notice == notice
    assert receive(replace(notice, currency="CNY", amount_fen=1200), order, NOW).state is ReceiptState.MATCHED
