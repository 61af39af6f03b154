"""Callbacks of payment providers: only a signature says that an order is paid, each transaction counts once, and no
money is lost.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from services.orders.app import SERVICE
from services.orders.domain.order import state_machine, transitions
from services.orders.domain.order.order import Order, OrderDecision, OrderState, Paid
from services.orders.domain.order.state_machine import Step
from services.orders.domain.payment import Receipt
from services.orders.repository.postgres_payment import PostgresPayments
from tests.integration.callers import Callers
from tests.integration.orders_world import Orders
from tests.integration.payment_world import TOTAL, check_money, ended, held, pay, post, receipts
from tests.integration.payment_world import callers as callers
from tests.integration.payment_world import orders as orders
from tests.integration.payment_world import provider as provider
from tests.payment_simulator import PaymentSimulator

pytestmark = pytest.mark.stack
HERE, ELSEWHERE = {"communities": ["qifeng"]}, {"communities": ["xincheng"]}


async def test_a_callback_pays_an_order(orders: Orders, provider: PaymentSimulator, callers: Callers):
    order = await held(orders)
    assert await pay(orders, provider, order, transaction="tx-1") == 204
    assert "CommitStock" in await orders.names("inventory.command.v1")
    assert (await orders.get(f"/v1/orders/{order}")).json()["paid_fen"] == TOTAL
    steps = (await orders.get(f"/v1/orders/{order}/history")).json()["steps"]
    assert (steps[-1]["message"], steps[-1]["actor"]) == ("paid", "payment.simulator")
    (receipt,) = await receipts(callers)
    assert (receipt["state"], receipt["reason"], receipt["given_back"]) == ("matched", "", False)
    assert (receipt["provider"], receipt["transaction_id"], receipt["order_id"]) == ("simulator", "tx-1", str(order))
    await check_money(orders)


async def test_a_stranger_and_an_unknown_provider_get_the_same_answer(orders: Orders, provider: PaymentSimulator):
    order = await orders.place(payment="pending")
    good = provider.callback(provider.paid(order, TOTAL))
    answers = [
        await orders.client.post(path, content=body, headers=headers)
        for path, body, headers in (
            (provider.path, good.body.replace(b"1200", b"1201"), good.headers),
            (provider.path, b"{", good.headers),
            (provider.path, good.body, {}),
            (provider.path, good.body, {"authorization": "Bearer operator-token"}),
            ("/v1/payments/nobody/callbacks", good.body, good.headers),
        )
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({json.dumps({**answer.json(), "instance": ""}) for answer in answers}) == 1
    assert answers[0].headers["www-authenticate"] == "Signature"
    assert await orders.context.pool.fetchval("select count(*) from receipt") == 0
    assert (await orders.get(f"/v1/orders/{order}")).json()["paid_fen"] == 0


async def test_a_large_callback_is_refused(orders: Orders, provider: PaymentSimulator):
    call = provider.callback(json.dumps(provider.paid(uuid4(), 1)).encode() + b" " * 17_000)
    assert await post(orders, provider.path, call.body, call.headers) == 413


async def test_what_can_t_be_read_is_repeated_and_other_events_are_not(orders: Orders, provider: PaymentSimulator):
    for event, status in (
        (b"[]", 422),
        (provider.paid(uuid4(), 5, currency="yuan"), 422),
        ({"type": "refund.succeeded"}, 204),
    ):
        call = provider.callback(event)
        assert await post(orders, provider.path, call.body, call.headers) == status
    assert await orders.context.pool.fetchval("select count(*) from receipt") == 0


async def test_a_repeat_changes_nothing(orders: Orders, provider: PaymentSimulator):
    order = await held(orders)
    event = provider.paid(order, TOTAL, "tx-1")
    calls = [provider.callback(event) for _ in range(3)]
    at_once = [post(orders, provider.path, call.body, call.headers) for call in (calls[0], *calls)]
    assert set(await asyncio.gather(*at_once)) == {204}
    published = await orders.names()
    assert await post(orders, provider.path, calls[0].body, calls[0].headers) == 204
    assert await orders.names() == published
    assert await orders.context.pool.fetchval("select count(*) from payment") == 1
    await check_money(orders)


async def test_another_content_under_a_transaction_is_kept_and_shown(
    orders: Orders, provider: PaymentSimulator, callers: Callers
):
    first, second = await held(orders), await held(orders)
    before = REGISTRY.get_sample_value("halfday_receipts_total", {"provider": "simulator", "outcome": "conflict"}) or 0
    assert await pay(orders, provider, first, transaction="tx-1") == 204
    for _ in range(2):
        assert await pay(orders, provider, second, transaction="tx-1") == 204
    assert (await orders.get(f"/v1/orders/{second}")).json()["paid_fen"] == 0
    (receipt,) = await receipts(callers, "conflict")
    (other,) = receipt["others"]
    assert (receipt["order_id"], other["order_id"], other["seen"]) == (str(first), str(second), 2)
    assert REGISTRY.get_sample_value("halfday_receipts_total", {"provider": "simulator", "outcome": "conflict"}) == (
        before + 2
    )
    assert await receipts(callers, "unmatched") == []


async def test_money_that_no_order_takes_waits_for_the_desk(
    orders: Orders, provider: PaymentSimulator, callers: Callers
):
    order, unknown = await held(orders), uuid4()
    assert await pay(orders, provider, order, TOTAL - 1) == 204
    assert await pay(orders, provider, order, TOTAL, currency="HKD") == 204
    assert await pay(orders, provider, unknown) == 204
    found = {receipt["reason"]: receipt for receipt in await receipts(callers, "unmatched")}
    assert set(found) == {"other-amount", "other-currency", "unknown-order"}
    assert found["unknown-order"]["order_id"] == str(unknown)
    assert await orders.state(order) == "held"
    assert len(await receipts(callers, "unmatched", **HERE)) == 2
    assert await receipts(callers, "unmatched", **ELSEWHERE) == []
    await check_money(orders)


async def test_an_ended_order_gives_back_each_receipt_once(orders: Orders, provider: PaymentSimulator):
    order = await ended(orders)
    events = [provider.paid(order, TOTAL, f"tx-{n}") for n in (1, 2)]
    for event in (*events, *events, *events):
        call = provider.callback(event)
        assert await post(orders, provider.path, call.body, call.headers) == 204
    back = [event for event in await orders.published("orders.order.v1", order) if event.TYPE.endswith("refunded.v1")]
    assert sorted(event.payment for event in back) == ["simulator:tx-1", "simulator:tx-2"]  # type: ignore[attr-defined]
    await check_money(orders)


async def test_nobody_s_word_alone_is_refunded(orders: Orders, provider: PaymentSimulator, callers: Callers):
    order = await ended(orders)
    for n, who in enumerate(("staff.finance", "staff.admin", "payment.wx")):
        paid = {"payment_id": f"x{n}", "amount_fen": TOTAL}
        status, problem = await callers.call(who, "POST", f"/orders/{order}:pay", paid)
        assert (status, problem.get("code")) == (409, "conflict")
    assert "OrderRefunded" not in await orders.names()
    local = {"payment_id": "x", "amount_fen": TOTAL}
    for _ in range(2):
        assert (await orders.post(f"/v1/orders/{order}:pay", local)).status_code == 200
    assert (await orders.names()).count("OrderRefunded") == 1
    assert await pay(orders, provider, order) == 204
    assert (await orders.names()).count("OrderRefunded") == 2


async def test_a_payment_that_finance_recorded_by_hand_counts_once(
    orders: Orders, provider: PaymentSimulator, callers: Callers
):
    order = await held(orders)
    paid = {"payment_id": "simulator:tx-1", "amount_fen": TOTAL}
    assert (await callers.call("staff.finance", "POST", f"/orders/{order}:pay", paid))[0] == 200
    assert await pay(orders, provider, order, transaction="tx-1") == 204
    assert (await orders.get(f"/v1/orders/{order}")).json()["paid_fen"] == TOTAL
    assert (await receipts(callers))[0]["state"] == "matched"


@pytest.mark.parametrize("seed", range(3))
async def test_late_lost_repeated_and_reordered_callbacks_count_once(
    orders: Orders, provider: PaymentSimulator, callers: Callers, seed: int
):
    paid, cancelled = [await held(orders) for _ in range(3)], [await ended(orders) for _ in range(2)]
    events = [provider.paid(order, TOTAL, f"{n}-{order.hex}") for order in (*paid, *cancelled) for n in (1, 2)]
    events.append(provider.paid(uuid4(), TOTAL))

    async def send(path: str, body: bytes, headers: dict[str, str]) -> int:
        return await post(orders, path, body, headers)

    await provider.deliver(events, send, seed)
    for order in paid:
        view = (await orders.get(f"/v1/orders/{order}")).json()
        assert (view["paid_fen"], view["refunded_fen"]) == (2 * TOTAL, TOTAL)
    for order in cancelled:
        view = (await orders.get(f"/v1/orders/{order}")).json()
        assert view["paid_fen"] == view["refunded_fen"] == 2 * TOTAL
    found = await receipts(callers)
    assert sorted(receipt["state"] for receipt in found) == ["matched"] * 10 + ["unmatched"]
    assert sum(receipt["given_back"] for receipt in found) == 7
    await check_money(orders)


@pytest.mark.seeded
async def test_a_provider_that_checks_no_signature_is_noticed(
    orders: Orders, provider: PaymentSimulator, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("standardwebhooks.webhooks.Webhook.verify", lambda *_args, **_more: None)
    with pytest.raises(AssertionError):
        await test_a_stranger_and_an_unknown_provider_get_the_same_answer(orders, provider)


@pytest.mark.seeded
async def test_a_transaction_that_counts_twice_is_noticed(
    orders: Orders, provider: PaymentSimulator, monkeypatch: pytest.MonkeyPatch
):
    async def insert(self: PostgresPayments, receipt: Receipt) -> bool:
        await self._conn.execute("delete from receipt where transaction_id = $1", receipt.notice.transaction)
        return await insert_receipt(self, receipt)

    insert_receipt = PostgresPayments.insert_receipt
    monkeypatch.setattr(PostgresPayments, "insert_receipt", insert)
    with pytest.raises((AssertionError, ValueError)):
        await test_another_content_under_a_transaction_is_kept_and_shown(
            orders, provider, Callers(SERVICE, orders.context)
        )


@pytest.mark.seeded
async def test_a_refund_of_a_word_is_noticed(
    orders: Orders, provider: PaymentSimulator, monkeypatch: pytest.MonkeyPatch
):
    def refund(order: Order, message: Paid, _now: Any) -> OrderDecision:
        return transitions.refund_payment(order.with_money(message.payment, message.amount_fen), message.payment)

    monkeypatch.setitem(state_machine.TRANSITIONS, (OrderState.CANCELLED, Paid), Step(refund, ()))
    with pytest.raises(AssertionError):
        await test_nobody_s_word_alone_is_refunded(orders, provider, Callers(SERVICE, orders.context))
