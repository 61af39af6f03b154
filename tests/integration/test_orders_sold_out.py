"""Sold-out items are not promised: orders, batches, joins and relays check before they accept."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from contracts.events.inventory import SoldOut
from services.orders.domain.order import policy
from tests.integration.campaign_world import a_join, open_one
from tests.integration.orders_world import Orders, an_order, open_orders
from tests.stack import TestStack

pytestmark = pytest.mark.stack
HONEY: dict[str, Any] = {"pool": "sat@square", "item": "honey"}
BOTH = [{"item": "tofu", "weight_g": 500}, {"item": "honey", "quantity": 1}]


@pytest.fixture
async def orders(stack: TestStack) -> AsyncIterator[Orders]:
    async with open_orders(stack) as world:
        yield world


async def test_an_order_of_what_is_sold_out_is_refused_by_its_line_until_it_is_offered_again(orders: Orders):
    taken = {"order_id": str(uuid4())}
    assert (await orders.post("/v1/orders", an_order(**taken))).status_code == 201
    await orders.hear(SoldOut(**HONEY), SoldOut(pool="other@square", item="tofu"))
    answer = await orders.post("/v1/orders", an_order(lines=BOTH))
    assert (answer.status_code, answer.json()["code"]) == (409, "sold-out")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["#/lines/1"]
    assert (await orders.post("/v1/orders", an_order(lines=BOTH[:1]))).status_code == 201
    assert (await orders.post("/v1/orders", an_order(**taken))).status_code == 201  # a repeat of one that was taken
    await orders.hear(SoldOut(**HONEY, reopened=True))
    assert (await orders.post("/v1/orders", an_order(lines=BOTH))).status_code == 201


async def test_in_a_batch_only_the_orders_of_what_is_sold_out_are_refused(orders: Orders):
    await orders.hear(SoldOut(**HONEY))
    batch = [an_order(lines=BOTH[:1]), an_order(), an_order(lines=BOTH[:1])]
    answers = (await orders.post("/v1/orders:batch", batch)).json()["answers"]
    assert [answer["status"] for answer in answers] == [201, 409, 201]
    assert answers[1]["problem"]["code"] == "sold-out"
    assert await orders.context.pool.fetchval("select count(*) from orders") == 2


async def test_joins_and_a_relays_entries_are_asked_too(orders: Orders):
    campaign = await open_one(orders)
    await campaign.join(caller=1)
    await orders.hear(SoldOut(**HONEY))
    answer = await orders.post(f"/v1/campaigns/{campaign.id}/joins", a_join(caller=2))
    assert (answer.status_code, answer.json()["code"]) == (409, "sold-out")
    assert answer.json()["errors"][0]["pointer"] == "#/lines/0"
    entries = [{"entry": n, **a_join(caller=n, lines=lines)} for n, lines in ((3, BOTH[:1]), (4, BOTH[1:]))]
    relay = await orders.post(f"/v1/campaigns/{campaign.id}/relay", {"chat": "c", "entries": entries}, "leader")
    assert [answer["status"] for answer in relay.json()["answers"]] == [201, 409]
    assert (await campaign.shown())["joins"] == 2
    await orders.hear(SoldOut(**HONEY, reopened=True))
    await campaign.join(caller=2)


@pytest.mark.seeded
async def test_seeded_nobody_asks_what_is_sold_out(orders: Orders, monkeypatch: pytest.MonkeyPatch):
    """The original bug: the projection exists and no one reads it."""
    real = policy.price_order

    def blind(order: Any, code: str, draft: Any, catalog: Any, *rest: Any) -> Any:
        object.__setattr__(catalog, "sold_out", frozenset())
        return real(order, code, draft, catalog, *rest)

    monkeypatch.setattr("services.orders.commands.place_orders.price_order", blind)
    await orders.hear(SoldOut(**HONEY))
    assert (await orders.post("/v1/orders", an_order())).status_code == 201
