"""A buyer's order is prepaid by the receipt of its own payment, used once; finance assigns what names no order."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.orders.app import SERVICE
from services.orders.commands import named_receipts
from services.orders.domain.payment import Receipt
from tests.integration.callers import Callers
from tests.integration.campaign_world import a_join, open_one
from tests.integration.orders_world import Orders, an_order
from tests.integration.payment_world import TOTAL, check_money, ended, held, pay, receipts
from tests.integration.payment_world import callers as callers
from tests.integration.payment_world import orders as orders
from tests.integration.payment_world import provider as provider
from tests.payment_simulator import PaymentSimulator

pytestmark = pytest.mark.stack
ANNA, BO = "resident.anna", "resident.bo"


def prepaid(order: UUID | str, transaction: str = "tx-1", **more: Any) -> dict[str, Any]:
    receipt = {"provider": "simulator", "transaction": transaction}
    return an_order(payment="prepaid", order_id=str(order), receipt=receipt, **more)


async def test_a_receipt_prepays_the_order_that_it_names(orders: Orders, provider: PaymentSimulator, callers: Callers):
    order = uuid4()
    early = await callers.call(ANNA, "POST", "/orders", prepaid(order))
    assert (early[0], early[1]["code"], early[1]["errors"][0]["pointer"]) == (409, "receipt-unusable", "#/receipt")
    await pay(orders, provider, order, transaction="tx-1")
    status, placed = await callers.call(ANNA, "POST", "/orders", prepaid(order))
    assert (status, placed["payment"]) == (201, "prepaid")
    assert await callers.call(ANNA, "POST", "/orders", prepaid(order)) == (status, placed)
    _, view = await callers.call(ANNA, "GET", f"/orders/{order}")
    assert (view["paid_fen"], view["refunded_fen"]) == (TOTAL, 0)
    (receipt,) = await receipts(callers)
    assert (receipt["state"], receipt["pays"]) == ("matched", str(order))
    await pay(orders, provider, order, transaction="tx-1")
    await check_money(orders)


async def test_a_refund_names_the_receipt(orders: Orders, provider: PaymentSimulator, callers: Callers):
    order = uuid4()
    await pay(orders, provider, order, transaction="tx-1")
    assert (await callers.call(ANNA, "POST", "/orders", prepaid(order)))[0] == 201
    await ended(orders, order)
    (back,) = [event for event in await orders.published("orders.order.v1") if type(event).__name__ == "OrderRefunded"]
    assert (back.payment, back.amount_fen) == ("simulator:tx-1", TOTAL)  # type: ignore[attr-defined]
    assert (await receipts(callers))[0]["given_back"]
    await check_money(orders)


async def test_a_receipt_that_is_not_this_order_s_is_as_one_that_does_not_exist(
    orders: Orders, provider: PaymentSimulator, callers: Callers
):
    mine, other, foreign = uuid4(), uuid4(), uuid4()
    await pay(orders, provider, mine, transaction="mine", currency="HKD")
    await pay(orders, provider, other, transaction="other")
    await pay(orders, provider, await held(orders), transaction="used")
    answers = [
        await callers.call(BO, "POST", "/orders", prepaid(foreign, transaction))
        for transaction in ("unknown", "other", "used")
    ]
    answers.append(await callers.call(BO, "POST", "/orders", prepaid(mine, "mine")))
    details = {problem["detail"].replace(str(mine), str(foreign)) for _, problem in answers}
    assert {status for status, _ in answers} == {409}
    assert len(details) == 1
    assert len(await receipts(callers, "unmatched")) == 2


async def test_a_receipt_of_less_does_not_prepay_and_more_is_shown(
    orders: Orders, provider: PaymentSimulator, callers: Callers
):
    less, more = uuid4(), uuid4()
    await pay(orders, provider, less, TOTAL - 1, transaction="less")
    await pay(orders, provider, more, TOTAL + 1, transaction="more")
    status, problem = await callers.call(ANNA, "POST", "/orders", prepaid(less, "less"))
    assert (status, problem["code"]) == (409, "receipt-unusable")
    assert "1199" in problem["detail"]
    assert (await callers.call(ANNA, "POST", "/orders", prepaid(more, "more")))[0] == 201
    (receipt,) = await receipts(callers, "excess")
    assert (receipt["transaction_id"], receipt["state"]) == ("more", "matched")
    await check_money(orders)


async def test_a_batch_mixes_orders_with_and_without_receipts(
    orders: Orders, provider: PaymentSimulator, callers: Callers
):
    paid = [uuid4() for _ in range(3)]
    for order in paid:
        await pay(orders, provider, order, transaction=order.hex)
    bodies = [prepaid(order, order.hex) for order in paid]
    bodies += [an_order(payment="pending"), prepaid(uuid4(), paid[0].hex), an_order(payment="prepaid")]
    _, found = await callers.call(ANNA, "POST", "/orders:batch", bodies)
    assert [answer["status"] for answer in found["answers"]] == [201, 201, 201, 201, 409, 422]
    await check_money(orders)


async def test_two_requests_at_once_use_a_receipt_once(orders: Orders, provider: PaymentSimulator, callers: Callers):
    order = uuid4()
    await pay(orders, provider, order, transaction="tx-1")
    two = [{"item": "honey", "quantity": 2}], [{"item": "honey", "quantity": 1}]
    bodies = [prepaid(order, lines=lines) for lines in two]
    found = await asyncio.gather(*(callers.call(ANNA, "POST", "/orders", body) for body in bodies * 2))
    assert {status for status, _ in found} == {201, 409}
    assert len(await receipts(callers, "matched")) == 1
    await check_money(orders)


@pytest.mark.parametrize("payment", ["pending", "on_account"])
async def test_a_receipt_belongs_to_a_prepaid_order(callers: Callers, payment: str):
    status, problem = await callers.call(ANNA, "POST", "/orders", prepaid(uuid4()) | {"payment": payment})
    assert (status, problem["errors"][0]["pointer"]) == (422, "#/receipt")


async def test_a_local_order_is_prepaid_without_a_receipt(orders: Orders):
    order = await orders.place(payment="prepaid")
    assert (await orders.get(f"/v1/orders/{order}")).json()["paid_fen"] == TOTAL


async def test_finance_assigns_a_receipt_that_names_no_order(
    orders: Orders, provider: PaymentSimulator, callers: Callers
):
    first, second = await held(orders), await held(orders)
    await pay(orders, provider, uuid4(), transaction="tx-1")
    path, body = "/receipts/simulator/tx-1:assign", {"order_id": str(first)}
    assert (await callers.call("staff.finance", "POST", path, body, communities=["qifeng"]))[0] == 404
    assert (await callers.call("staff.desk", "POST", path, body))[0] == 403
    unknown = await callers.call("staff.finance", "POST", "/receipts/simulator/tx-2:assign", body)
    assert unknown[0] == 404
    for _ in range(2):
        status, view = await callers.call("staff.finance", "POST", path, body)
        assert (status, view["paid_fen"]) == (200, TOTAL)
    again = await callers.call("staff.finance", "POST", path, {"order_id": str(second)})
    assert again[0] == 409
    await pay(orders, provider, uuid4(), TOTAL + 1, transaction="tx-3")
    other = await callers.call("staff.finance", "POST", "/receipts/simulator/tx-3:assign", {"order_id": str(second)})
    assert (other[0], other[1]["code"]) == (409, "other-amount")
    assert (await orders.get(f"/v1/orders/{second}")).json()["paid_fen"] == 0
    await check_money(orders)


async def test_a_join_is_prepaid_by_the_receipt_that_names_it(
    orders: Orders, provider: PaymentSimulator, callers: Callers
):
    campaign, join = await open_one(orders, threshold={"of": "people", "at_least": 1}), str(uuid4())
    path, total = f"/campaigns/{campaign.id}/joins", 1000
    receipt = {"provider": "simulator", "transaction": "tx-1"}
    body = a_join(payment="prepaid", join_id=join, receipt=receipt)
    assert (await callers.call(ANNA, "POST", path, body))[1]["code"] == "receipt-unusable"
    assert (await callers.call(ANNA, "POST", path, a_join(payment="prepaid")))[0] == 422
    await pay(orders, provider, UUID(join), total, transaction="tx-1")
    assert (await callers.call(BO, "POST", path, body | {"join_id": str(uuid4())}))[0] == 409
    first, again = [await callers.call(ANNA, "POST", path, body) for _ in range(2)]
    assert (first[0], first) == (201, again)
    assert (await receipts(callers))[0]["pays"] == join
    await campaign.cut()
    await campaign.grant(honey=1)
    await orders.sweep()
    (row,) = await orders.context.pool.fetch("select order_id, receipt from orders")
    paid = await orders.context.pool.fetch("select payment_id, amount_fen from payment where order_id = $1", row[0])
    assert [tuple(one) for one in paid] == [("simulator:tx-1", 500)]
    assert row["receipt"] == "simulator:tx-1"
    assert "JoinRefunded" in await campaign.published()


@pytest.mark.seeded
async def test_prepaid_without_a_check_of_the_receipt_is_noticed(
    orders: Orders, provider: PaymentSimulator, callers: Callers, monkeypatch: pytest.MonkeyPatch
):
    def unchecked(_receipt: Receipt | None, _id: UUID, _total_fen: int) -> None:
        return None

    monkeypatch.setattr(named_receipts, "check_receipt", unchecked)
    with pytest.raises((AssertionError, KeyError)):
        await test_a_receipt_of_less_does_not_prepay_and_more_is_shown(orders, provider, callers)


@pytest.mark.seeded
async def test_a_receipt_that_stays_unused_is_noticed(
    orders: Orders, provider: PaymentSimulator, monkeypatch: pytest.MonkeyPatch
):
    async def forget(_self: Any, _paid: Any) -> None:
        return None

    monkeypatch.setattr(named_receipts.NamedReceipts, "use", forget)
    with pytest.raises((AssertionError, ValueError)):
        await test_a_receipt_prepays_the_order_that_it_names(orders, provider, Callers(SERVICE, orders.context))
