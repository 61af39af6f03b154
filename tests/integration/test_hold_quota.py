"""Sensitive business flows (OWASP API6:2023): unpaid orders hold stock, so a buyer and an address have few at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from contracts.events import inventory as i
from contracts.values import reservation_of
from services.kit.process.api import create_api
from services.orders.app import SERVICE
from services.orders.repository.postgres_order import prune_holds
from tests.integration.callers import Callers
from tests.integration.orders_world import Orders, an_order, open_orders
from tests.integration.test_order_capability import KEY, LIN, WU, digest_of, visit
from tests.stack import TestStack

pytestmark = pytest.mark.stack


@pytest.fixture
async def orders(stack: TestStack, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Orders]:
    monkeypatch.setenv("HALFDAY_CAPABILITY_KEY", KEY)
    monkeypatch.setenv("HALFDAY_HOLD_QUOTA", "2")
    monkeypatch.setenv("HALFDAY_ADDRESS_HOLD_QUOTA", "3")
    async with open_orders(stack) as found:
        yield found


async def statuses(orders: Orders, *digests: str, address: str = "203.0.113.9") -> list[int]:
    """The answers to an order of each of these digests, from an address behind the door."""
    found = []
    for digest in digests:
        body = an_order(payment="pending", owner_digest=digest)
        answer = await orders.client.post("/v1/orders", json=body, headers={"Forwarded": f'for="{address}:4711"'})
        found.append(answer.status_code)
    return found


def claim(order: str) -> dict[str, Any]:
    return {"reservation": reservation_of(UUID(order), "sat@square", 1), "pool": "sat@square", "order": UUID(order)}


async def test_a_client_without_an_account_has_a_quota_and_may_repeat(orders: Orders) -> None:
    last = [(await visit(orders, order_id=id)).json()["order_id"] for id in (str(uuid4()), str(uuid4()))][-1]
    for query in ("", "?unusual=1"):
        refused = await visit(orders, query=query)
        assert (refused.status_code, refused.json()["code"]) == (429, "too-many-holds")
        assert refused.headers["retry-after"] == "60"
        assert (await visit(orders, query=query, order_id=last)).status_code == 201
    assert await orders.context.pool.fetchval("select count(*) from orders") == 2


@pytest.mark.parametrize("end", ["paid", "ended"])
async def test_an_order_that_is_paid_or_has_ended_holds_nothing(orders: Orders, end: str) -> None:
    placed = [(await visit(orders)).json() for _ in range(2)]
    assert (await visit(orders)).status_code == 429
    order = placed[0]["order_id"]
    if end == "paid":
        lines = (await orders.published("inventory.command.v1"))[0].lines  # type: ignore[attr-defined]
        expires_at = orders.clock.now()
        await orders.hear(i.StockReserved(**claim(order), firm=False, lines=lines, expires_at=expires_at))
        assert (await visit(orders)).status_code == 429
        paid = {"payment_id": "p1", "amount_fen": placed[0]["total_fen"]}
        assert (await orders.post(f"/v1/orders/{order}:pay", paid)).status_code == 200
        await orders.hear(i.StockCommitted(**claim(order)))
    else:
        await orders.hear(i.StockRefused(**claim(order), reason="short"))
    assert [(await visit(orders)).status_code for _ in range(2)] == [201, 429]


async def test_an_address_has_a_quota_for_all_its_clients(orders: Orders) -> None:
    others = [digest_of(f"client {n}") for n in range(4)]
    assert await statuses(orders, LIN, LIN, WU, *others) == [201, 201, 201, 429, 429, 429, 429]
    assert await statuses(orders, *others, address="[2001:db8:1:2::7]") == [201, 201, 201, 429]
    assert await statuses(orders, WU, address="[2001:db8:1:2:ffff::8]") == [429]  # one client has all of a network
    assert await statuses(orders, WU, address="[2001:db8:1:3::7]") == [201]
    holders = [row["holder"] for row in await orders.context.pool.fetch("select holder from hold")]
    assert not [one for one in holders if "203.0.113" in one or "2001" in one]


async def test_a_resident_has_a_quota_in_a_pool_and_staff_has_none(orders: Orders) -> None:
    callers, body = Callers(SERVICE, orders.context), an_order(payment="pending")
    for who, expected in (("resident.anna", [201, 201, 429]), ("leader.li", [201] * 3), ("staff.admin", [201] * 3)):
        assert [(await callers.call(who, "POST", "/orders", body))[0] for _ in range(3)] == expected, who
    _, batch = await callers.call("resident.bo", "POST", "/orders:batch", [body] * 4)
    assert [one["status"] for one in batch["answers"]] == [201, 201, 429, 429]
    assert [(await orders.post("/v1/orders", body)).status_code for _ in range(3)] == [201] * 3
    holders = await orders.context.pool.fetch("select holder, count(*) as n from hold group by holder order by holder")
    assert [tuple(row) for row in holders] == [("resident.anna/sat@square", 2), ("resident.bo/sat@square", 2)]


async def test_a_quota_holds_in_two_processes(orders: Orders) -> None:
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(create_api(SERVICE, orders.context)), base_url="http://orders"
    ) as client:
        worlds = (orders, Orders(orders.context, orders.clock, client))
        answers = await asyncio.gather(*(visit(worlds[n % 2]) for n in range(20)))
    assert Counter(answer.status_code for answer in answers) == {201: 2, 429: 18}


async def test_holds_of_ended_orders_are_deleted(orders: Orders) -> None:
    first, second = [(await visit(orders)).json()["order_id"] for _ in range(2)]
    await orders.hear(i.StockRefused(**claim(first), reason="short"))
    async with orders.context.unit() as uow:
        assert [await prune_holds(uow.conn, 1) for _ in range(3)] == [1, 1, 0]
    left = await orders.context.pool.fetch("select distinct order_id from hold")
    assert [str(row["order_id"]) for row in left] == [second]
    assert prune_holds in SERVICE.prune
