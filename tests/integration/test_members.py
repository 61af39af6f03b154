"""Members: a person in a community has one id over all orders and joins, found by a keyed hash of the phone, and is
forgotten with the last person.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from services.orders.app import SERVICE
from services.orders.repository.postgres_member import PostgresMembers
from tests.integration.callers import Callers
from tests.integration.campaign_world import a_join, open_one
from tests.integration.orders_world import Orders, an_order, open_orders
from tests.integration.payment_world import ended
from tests.stack import TestStack

pytestmark = pytest.mark.stack
ANNA, BO = "resident.anna", "resident.bo"
PHONE = "13900000000"


@pytest.fixture
async def orders(stack: TestStack, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Orders]:
    monkeypatch.setenv("HALFDAY_MEMBER_KEY", "ab" * 32)
    async with open_orders(stack) as found:
        yield found


@pytest.fixture
def callers(orders: Orders) -> Callers:
    return Callers(SERVICE, orders.context)


def to(phone: str, **more: Any) -> dict[str, Any]:
    return {"recipient": {"name": "李姐", "phone": phone}, **more}


async def member(orders: Orders, order: UUID) -> UUID | None:
    found: UUID | None = await orders.context.pool.fetchval("select member_id from orders where order_id = $1", order)
    return found


async def members(orders: Orders) -> list[Any]:
    return list(await orders.context.pool.fetch("select * from member order by created_at"))


async def test_one_phone_is_one_member_however_it_is_written(orders: Orders):
    spellings = [PHONE, "+8613900000000", "8613900000000", "139-0000-0000", "+86 139 0000 0000", "139 00 00 00 00"]
    placed = [await orders.place(**to(phone)) for phone in spellings]
    assert len({await member(orders, order) for order in placed}) == 1
    other = await orders.place(**to("13900000001"))
    assert await member(orders, other) not in {None, await member(orders, placed[0])}
    (first, _) = await members(orders)
    assert (first["tenant"], first["community"], len(first["phone_hash"])) == ("main", "qifeng", 32)


async def test_what_is_no_number_has_no_member(orders: Orders):
    assert await member(orders, await orders.place(**to("12345"))) is None
    assert await members(orders) == []


async def test_orders_at_once_make_one_member(orders: Orders):
    placed = await asyncio.gather(*(orders.place(**to(PHONE)) for _ in range(30)))
    assert len({await member(orders, order) for order in placed}) == 1
    assert len(await members(orders)) == 1


async def test_a_refused_order_makes_no_member(orders: Orders, callers: Callers):
    refused = await orders.post("/v1/orders", an_order(market_day="never", **to(PHONE)))
    assert refused.status_code == 422
    assert await members(orders) == []


async def test_a_member_says_nothing_about_its_phone(orders: Orders):
    await orders.place(**to(PHONE))
    (row,) = await members(orders)
    assert not re.search(r"139|李", str([value for name, value in row.items() if name != "phone_hash"]))
    headers_and_payloads = await orders.context.pool.fetch("select headers, payload from outbox")
    assert all(str(row["member_id"]).encode() not in one["payload"] for one in headers_and_payloads)


async def test_a_member_is_forgotten_with_its_last_person(orders: Orders, callers: Callers):
    body = an_order(payment="pending", order_id="01890000-0000-7000-8000-000000000001", **to(PHONE))
    assert (await callers.call(ANNA, "POST", "/orders", body))[0] == 201
    first, second = UUID(body["order_id"]), await orders.place(**to(PHONE))
    for order, left in ((first, 1), (second, 0)):
        await ended(orders, order)
        erased = await orders.call("POST", f"/v1/orders/{order}:erase", json={"why": "asked"})
        assert erased.status_code == 200
        assert sum(row["phone_hash"] is not None for row in await members(orders)) == left
    assert (await callers.call(ANNA, "POST", "/orders", body))[0] == 201  # the repeat of an erased order
    assert len(await members(orders)) == 1
    again = await orders.place(**to(PHONE))
    assert await member(orders, again) != await member(orders, first)


async def test_a_member_is_forgotten_with_a_withdrawn_pledge(orders: Orders, callers: Callers):
    campaign = await open_one(orders)
    joins = f"/campaigns/{campaign.id}/joins"
    _, join = await callers.call(ANNA, "POST", joins, a_join(7, payment="pending"))
    assert [row["phone_hash"] is None for row in await members(orders)] == [False]
    assert (await callers.call(ANNA, "POST", f"{joins}/{join['join_id']}:cancel"))[0] == 200
    assert [row["phone_hash"] is None for row in await members(orders)] == [True]


async def test_a_pledge_keeps_its_member_and_counts_once_with_the_chat(orders: Orders, callers: Callers):
    campaign = await open_one(orders)
    own = a_join(7, payment="pending")
    for recipient in ("13900000007", "13900000008"):  # one owner is one person, whatever phones it gives
        body = own | {"recipient": {"name": "李姐", "phone": recipient}}
        assert (await callers.call(ANNA, "POST", f"/campaigns/{campaign.id}/joins", body))[0] == 201
    chat = [{**a_join(7), "entry": 1}, {**a_join(8), "entry": 2}, {**a_join(9), "entry": 3}]
    answer = await orders.post(f"/v1/campaigns/{campaign.id}/relay", {"chat": "c", "entries": chat}, "leader")
    assert [one["status"] for one in answer.json()["answers"]] == [201] * 3
    assert (await campaign.shown())["people"] == 2
    rows = await orders.context.pool.fetch("select n, member, member_id from campaign_join order by n")
    assert [row["member"] for row in rows] == [1, 1, 1, 1, 5]
    assert rows[0]["member_id"] == rows[2]["member_id"] != rows[1]["member_id"] == rows[3]["member_id"]
    await campaign.cut()
    await campaign.grant(honey=10)
    await orders.sweep()
    ordered = await orders.context.pool.fetch(
        "select o.member_id = j.member_id as same from orders o join campaign_join j using (join_id)"
    )
    assert len(ordered) == 5
    assert all(row["same"] for row in ordered)


@pytest.mark.seeded
async def test_a_member_that_stays_known_is_noticed(orders: Orders, callers: Callers, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("services.orders.repository.statements.FORGET", "select $1::uuid[], $2::boolean")
    with pytest.raises(AssertionError):
        await test_a_member_is_forgotten_with_its_last_person(orders, callers)


@pytest.mark.seeded
async def test_a_member_for_each_order_is_noticed(orders: Orders, monkeypatch: pytest.MonkeyPatch):
    async def make(self: PostgresMembers, sought: Any) -> dict[UUID, UUID]:
        return {one.order: one.member for one in sought}

    monkeypatch.setattr(PostgresMembers, "find_or_make_members", make)
    with pytest.raises((AssertionError, ValueError)):
        await test_one_phone_is_one_member_however_it_is_written(orders)
