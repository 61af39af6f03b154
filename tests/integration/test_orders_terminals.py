"""A stall terminal's sync on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from contracts.events import inventory as i
from contracts.events.orders import SessionClosed
from tests.integration.orders_world import NOW, Orders, open_orders
from tests.stack import TestStack

pytestmark = pytest.mark.stack
TOPIC = "orders.stall.v1"


@pytest.fixture
async def orders(stack: TestStack) -> AsyncIterator[Orders]:
    async with open_orders(stack) as world:
        yield world


def upload(seq: int, kind: str, body: dict[str, Any], session: str = "s1") -> dict[str, Any]:
    return {"session": session, "seq": seq, "recorded_at": NOW.isoformat(), "kind": kind, "body": body}


def sale(seq: int, id: str | None = None, quantity: int = 1, amount: int = 550) -> dict[str, Any]:
    line = {"item": "honey", "quantity": quantity, "amount_fen": amount}
    return upload(seq, "sale", {"sale": id or str(uuid4()), "lines": [line]})


async def sync(orders: Orders, *uploads: dict[str, Any], status: int = 200) -> dict[str, Any]:
    body = {"device": "d1", "market_day": "sat", "uploads": list(uploads)}
    answer = await orders.post("/v1/terminals/stall-1/sync", body, "terminal")
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def test_a_day_in_any_order_counts_once(orders: Orders):
    sold = str(uuid4())
    day = [
        upload(1, "open", {"float_fen": 10_000}),
        sale(2, sold, 2, 1100),
        sale(3),
        upload(4, "void", {"sale": sold}),
        upload(5, "count", {"lines": [{"item": "honey", "quantity": 7}]}),
        upload(6, "close", {"last_seq": 6, "cash_fen": 10_550}),
    ]
    answer = await sync(orders, *reversed(day[3:]))
    assert (answer["received_through"], answer["gaps"]) == ({"s1": 0}, {"s1": [[1, 3]]})
    assert await orders.names(TOPIC) == ["SessionClosed"]
    answer = await sync(orders, *day)
    assert (answer["received_through"], answer["gaps"], answer["conflicts"]) == ({"s1": 6}, {"s1": []}, [])
    assert await orders.names(TOPIC) == [
        "SessionClosed",
        "SessionOpened",
        "SaleRecorded",
        "SaleVoided",
        "SaleRecorded",
        "SessionClosed",
    ]
    first, last = (e for e in await orders.told(TOPIC) if isinstance(e, SessionClosed))
    assert (first.complete, last.complete, last.expected_fen, last.cash_fen) == (False, True, 10_550, 10_550)
    again = await sync(orders, *day)
    assert again == answer
    assert len(await orders.told(TOPIC)) == 6
    assert again["allotment"][0]["sold_total"] == 1


async def test_concurrent_uploads_of_the_same_count_once(orders: Orders):
    day = [sale(seq) for seq in range(1, 31)]
    await asyncio.gather(*(sync(orders, *day[n % 3 :]) for n in range(8)))
    assert len(await orders.told(TOPIC)) == 30


async def test_an_altered_number_is_kept_shown_and_told_once(orders: Orders):
    await sync(orders, sale(1, quantity=1))
    for _ in range(2):
        answer = await sync(orders, sale(1, quantity=9))
        assert [(c["session"], c["seq"]) for c in answer["conflicts"]] == [("s1", 1)]
    same = sale(1, quantity=8)
    await sync(orders, same)
    await sync(orders, same)
    assert (await orders.names(TOPIC)).count("SaleRecorded") == 1
    assert (await orders.names(TOPIC)).count("SaleConflicted") == 3  # three other contents, one of them sent twice
    assert await orders.context.pool.fetchval("select count(*) from sequenced_conflict") == 3


async def test_an_altered_sale_under_another_number_is_a_conflict(orders: Orders):
    id = str(uuid4())
    answer = await sync(orders, sale(1, id), sale(2, id), sale(3, id, quantity=5))
    assert [(c["seq"]) for c in answer["conflicts"]] == [3]
    assert await orders.names(TOPIC) == ["SaleRecorded", "SaleConflicted"]


async def test_what_a_terminal_is_told(orders: Orders):
    granted = {"terminal": "stall-1", "pool": "sat@square", "item": "honey", "quantity": 30}
    totals = {"granted_total": 30, "returned_total": 0, "version": 1}
    await orders.hear(
        i.AllotmentGranted(**granted, **totals),
        i.SoldOut(pool="sat@square", item="tofu"),
    )
    await orders.hear(i.AllotmentReturned(**granted, **{**totals, "returned_total": 4, "version": 2}))
    await orders.hear(i.AllotmentGranted(**granted, **totals))
    answer = await sync(orders, sale(1, quantity=3))
    (lent,) = answer["allotment"]
    assert (lent["item"], lent["granted_total"], lent["returned_total"], lent["version"]) == ("honey", 30, 4, 2)
    assert lent["sold_total"] == 3
    assert answer["sold_out"] == ["tofu"]
    assert answer["recalls"] == []
    assert [(p["item"], p["price_fen"], p["per"]) for p in answer["prices"]] == [("honey", 550, "piece")]
    await orders.hear(i.SoldOut(pool="sat@square", item="tofu", reopened=True))
    assert (await sync(orders))["sold_out"] == []


async def test_nonsense_is_refused_whole_and_named(orders: Orders):
    weighed = upload(2, "sale", {"sale": str(uuid4()), "lines": [{"item": "honey", "weight_g": 1, "amount_fen": 1}]})
    await sync(orders, sale(1), weighed, status=422)
    await sync(orders, upload(1, "sale", {"sale": "x", "lines": []}), status=422)
    await sync(orders, {**sale(1), "device": "d2"}, status=422)
    await sync(orders, *(sale(n) for n in range(1, 202)), status=422)
    assert await orders.told(TOPIC) == []
    unknown = await orders.post("/v1/terminals/nobody/sync", {"device": "d", "market_day": "sat"}, "terminal")
    assert unknown.status_code == 404
    assert (await orders.post("/v1/terminals/stall-1/sync", {}, "buyer")).status_code == 403
