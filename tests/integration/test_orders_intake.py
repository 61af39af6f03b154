"""Taking orders when things go wrong: an unknown outcome, two processes at once, a repeat inside a group."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from services.kit.errors import CommitUnknown
from services.kit.process import openapi
from services.kit.process.api import create_api
from services.kit.transaction import unit_of_work
from services.orders.app import SERVICE
from tests.integration.orders_world import Orders, an_order, open_orders
from tests.stack import TestStack

pytestmark = pytest.mark.stack


@pytest.fixture
async def orders(stack: TestStack) -> AsyncIterator[Orders]:
    async with open_orders(stack) as world:
        yield world


@pytest.mark.parametrize("committed", [True, False])
async def test_an_unknown_outcome_is_said_and_the_repeat_is_safe(
    orders: Orders, monkeypatch: pytest.MonkeyPatch, committed: bool
):
    real, lost = unit_of_work._commit, [True]

    async def commit(transaction: Any) -> None:
        if lost and lost.pop():
            await (transaction.commit() if committed else transaction.rollback())
            raise CommitUnknown("lost")
        await real(transaction)

    monkeypatch.setattr(unit_of_work, "_commit", commit)
    body = an_order(order_id=str(uuid4()))
    first = await orders.post("/v1/orders", body)
    assert (first.status_code, first.headers["retry-after"]) == (503, "1")
    assert (await orders.post("/v1/orders", body)).status_code == 201
    assert await orders.names("orders.order.v1") == ["OrderPlaced"]
    assert await orders.names("inventory.command.v1") == ["ReserveStock"]


async def test_two_processes_take_the_same_orders_once(orders: Orders):
    app = create_api(SERVICE, orders.context)
    bodies = [an_order(order_id=str(uuid4())) for _ in range(20)]
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://orders") as client:
        other = Orders(orders.context, orders.clock, client)
        asks = [world.post("/v1/orders", body) for body in bodies for world in (orders, other, orders)]
        answers = await asyncio.gather(*asks)
    assert {answer.status_code for answer in answers} == {201}
    for n in range(0, 60, 3):
        assert len({answer.content for answer in answers[n : n + 3]}) == 1
    assert len(await orders.names("orders.order.v1")) == 20


async def test_a_group_with_every_kind_of_order_answers_each(orders: Orders):
    id = str(uuid4())
    bodies = [
        an_order(order_id=id),
        an_order(order_id=id),
        an_order(order_id=id, payment="prepaid"),
        an_order(lines=[{"item": "gold", "quantity": 1}]),
        an_order(payment="prepaid"),
    ]
    answers = (await orders.post("/v1/orders:batch", bodies)).json()["answers"]
    assert [answer["status"] for answer in answers] == [201, 201, 409, 422, 201]
    assert await orders.context.pool.fetchval("select count(*) from order_conflict") == 1
    assert await orders.context.pool.fetchval("select sum(paid_fen)::bigint from orders") == 1200


async def test_events_name_the_request_they_came_from(orders: Orders):
    ids = [f"r{n}" for n in range(10)]
    await asyncio.gather(*(orders.post("/v1/orders", an_order(), headers={"X-Request-Id": id}) for id in ids))
    rows = await orders.context.pool.fetch("select headers->>'ce_correlationid' as id from outbox")
    assert sorted(row["id"] for row in rows) == sorted(ids * 3)
    causes = await orders.context.pool.fetch("select cause from order_history")
    assert sorted(row["cause"] for row in causes) == ids


async def test_every_route_is_documented(orders: Orders):
    document = openapi.document(SERVICE)
    for path in ("/v1/orders", "/v1/orders:batch", "/v1/orders/{order}:cancel", "/v1/terminals/{id}/sync"):
        assert document["paths"][path]["post"]["description"]
