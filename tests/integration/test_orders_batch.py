"""Large bodies of many orders: counted before they are parsed, worked through in slices."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest

from services.orders.api import batch
from tests.integration.orders_world import Orders, an_order, open_orders
from tests.stack import TestStack

pytestmark = pytest.mark.stack
PATH = "/v1/orders:batch"


@pytest.fixture
async def orders(stack: TestStack) -> AsyncIterator[Orders]:
    async with open_orders(stack) as world:
        yield world


async def test_rubbish_costs_less_than_orders(orders: Orders):
    good = "\n".join(json.dumps(an_order()) for _ in range(batch.LIMIT)).encode()
    began = time.process_time()
    answer = await orders.call("POST", PATH, content=good)
    honest = time.process_time() - began
    assert {one["status"] for one in answer.json()["answers"]} == {201}
    room = batch.BODY_LIMIT
    rubbish = (
        b"a\n" * (room // 2),
        b"a\r" * (room // 2),
        b"[" + b"[]," * (room // 3 - 2) + b"[]]",
        b"[],[]," * (room // 6),
    )
    for content in (*rubbish, b"[" + b"0," * (room // 2 - 2) + b"0]"):
        began = time.process_time()
        answer = await orders.call("POST", PATH, content=content)
        assert answer.status_code in {400, 422} or len(answer.json()["answers"]) == 1, answer.text
        assert time.process_time() - began < honest, content[:10]


@pytest.mark.parametrize("line", [b"a\n", b"{}\n"])
async def test_others_are_answered_while_a_batch_is_worked_through(orders: Orders, line: bytes):
    asked = asyncio.create_task(orders.call("POST", PATH, content=line * batch.LIMIT))
    others = 0
    while not asked.done():
        await asyncio.sleep(0)  # pause: a request within this process need not wait for anything itself
        assert (await orders.get("/live")).status_code == 200
        others += 1
    assert len((await asked).json()["answers"]) == batch.LIMIT
    assert others > 5, "the loop was never free"


async def test_what_a_batch_may_hold(orders: Orders):
    async def statuses(content: bytes) -> object:
        answer = await orders.call("POST", PATH, content=content)
        return [one["status"] for one in answer.json()["answers"]] if answer.status_code == 200 else answer.status_code

    one = json.dumps(an_order(), ensure_ascii=False).encode()
    bom = b"\xef\xbb\xbf"
    assert await statuses(bom + one + b"\r\n\r\n a\n" + one) == [201, 400, 201]
    assert await statuses(bom + b" [" + one + b", 5, [], {}]") == [201, 422, 422, 422]
    assert await statuses(b"{}\n\n" * batch.LIMIT) == [422] * batch.LIMIT
    for content in (b"", b"\n\n", b"[]", b"{}\n" * (batch.LIMIT + 1), b"[0" + b",0" * batch.LIMIT + b"]"):
        assert await statuses(content) == 422
    assert await statuses(b"[" + one) == 400


async def test_a_mark_before_one_order_is_ignored(orders: Orders):
    content, headers = b"\xef\xbb\xbf" + json.dumps(an_order()).encode(), {"content-type": "application/json"}
    assert (await orders.call("POST", "/v1/orders", content=content, headers=headers)).status_code == 201
