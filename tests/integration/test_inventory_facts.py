"""Facts: inventory keeps the household, times and loss reasons of a lot; expired lots leave last."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from contracts.events.catalog import HouseholdPut
from contracts.events.inventory import LotRejected, Reason, StockMoved, StockRecounted
from contracts.events.orders import OrderCollected
from tests.integration.inventory_service import Inventory, open_inventory
from tests.stack import TestStack
from tests.unit.inventory_world import NOON, POOL, reserve, sale

pytestmark = pytest.mark.stack
HONEY: dict[str, Any] = {"pool": POOL, "item": "honey"}
LOT = {**HONEY, "household": "h1", "quantity": 20, "harvested_at": NOON.isoformat()}
SAID = "李姐 13900000002 打翻了"


@pytest.fixture
async def inventory(stack: TestStack) -> AsyncIterator[Inventory]:
    async with open_inventory(stack) as world:
        yield world


def after(**time: float) -> str:
    return (NOON + timedelta(**time)).isoformat()


async def test_a_lot_of_an_unknown_household_waits_for_the_household(inventory: Inventory) -> None:
    answer = await inventory.post("/v1/lots", LOT | {"household": "nobody"})
    assert (answer.status_code, answer.json()["code"], "retry-after" in answer.headers) == (503, "not-known-yet", True)
    assert "household nobody is not in inventory's catalogue" in answer.json()["detail"]
    assert not await inventory.published()
    await inventory.hear(HouseholdPut(id="nobody", village="qifeng"))
    assert (await inventory.post("/v1/lots", LOT | {"household": "nobody"})).status_code == 201


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("/v1/lots", LOT | {"harvested_at": after(minutes=11)}, "#/harvested_at"),
        ("/v1/lots", LOT | {"harvested_at": "2099-01-01T00:00:00Z"}, "#/harvested_at"),
        ("/v1/lots", LOT | {"sell_by": after(seconds=-1)}, "#/sell_by"),
        ("/v1/counts", HONEY | {"counted": 3, "counted_at": after(minutes=11)}, "#/counted_at"),
        ("/v1/waste", HONEY | {"quantity": 1, "reason": "had no time"}, "#/reason"),
        ("/v1/counts", HONEY | {"counted": 3, "reason": "hm"}, "#/reason"),
    ],
)
async def test_times_and_reasons_that_make_no_sense_are_refused(
    inventory: Inventory, path: str, body: dict[str, Any], pointer: str
) -> None:
    answer = await inventory.post(path, body)
    assert (answer.status_code, [error["pointer"] for error in answer.json()["errors"]]) == (422, [pointer])


async def test_a_clock_a_little_ahead_is_no_reason_to_refuse(inventory: Inventory) -> None:
    assert (await inventory.post("/v1/lots", LOT | {"harvested_at": after(minutes=9)})).status_code == 201
    count = HONEY | {"counted": 0, "counted_at": after(minutes=9)}
    assert (await inventory.post("/v1/counts", count)).status_code == 201
    assert [event.counted_at for event in await inventory.published(StockRecounted)] == [NOON]


async def test_reasons_of_waste_counts_and_inspections_are_kept_and_only_codes_are_published(
    inventory: Inventory,
) -> None:
    lot = await inventory.stocked("honey", 20)
    waste = await inventory.post("/v1/waste", HONEY | {"quantity": 3, "lot": lot, "reason": "damaged", "note": SAID})
    assert (waste.status_code, waste.json()["reason"]) == (201, "damaged")
    await inventory.post("/v1/waste", HONEY | {"quantity": 1, "reason": "damaged"})
    count = await inventory.post("/v1/counts", HONEY | {"counted": 14, "reason": "shrinkage", "note": SAID})
    assert count.json()["difference"] == -2
    await inventory.post("/v1/counts", HONEY | {"counted": 14})
    moved = [(event.to_place, event.quantity, event.reason) for event in await inventory.published(StockMoved)]
    assert moved[1:] == [("waste", 3, Reason.DAMAGED), ("waste", 1, Reason.DAMAGED), ("lost", 2, Reason.SHRINKAGE)]
    assert [event.reason for event in await inventory.published(StockRecounted)] == [Reason.SHRINKAGE, None]
    trace = (await inventory.get(f"/v1/lots/{lot}/trace"))["movements"]
    assert [(move["reason"], move["note"]) for move in trace] == [
        (None, None), ("damaged", SAID), ("damaged", ""), ("shrinkage", SAID)
    ]  # fmt: skip
    (row,) = (await inventory.get("/v1/stock", params=HONEY))["stock"]
    assert row["losses"] == {"damaged": 4, "shrinkage": 2}
    failed = (await inventory.post("/v1/lots", LOT)).json()["lot_id"]
    result = {"result": "fail", "reason": "residue", "note": SAID}
    shown = (await inventory.post(f"/v1/lots/{failed}:inspect", result)).json()
    assert (shown["state"], shown["reason"]) == ("rejected", "residue")
    assert [event.reason for event in await inventory.published(LotRejected)] == [Reason.RESIDUE]
    payloads = await inventory.context.pool.fetch("select payload, headers from outbox")
    assert not any("李姐" in str(bytes(row["payload"]), "utf8") or "李姐" in row["headers"] for row in payloads)
    assert await inventory.context.pool.fetchval("select count(*) from reason where note = $1", SAID) == 3


async def test_a_repeated_waste_keeps_one_reason(inventory: Inventory) -> None:
    await inventory.stocked("honey", 20)
    body = HONEY | {"quantity": 3, "reason": "spoiled", "waste_id": str(uuid4())}
    answers = [await inventory.post("/v1/waste", body) for _ in range(2)]
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    assert (await inventory.post("/v1/waste", body | {"reason": "unsold"})).status_code == 409
    assert await inventory.context.pool.fetchval("select count(*) from reason") == 1


async def collect(inventory: Inventory, quantity: int) -> None:
    ask = reserve(uuid4(), ("honey", quantity))
    await inventory.hear(ask)
    await inventory.hear(OrderCollected(order=ask.order, pool=POOL, reservation=ask.reservation, lines=ask.lines))


async def test_expired_lots_go_out_last_and_are_named_when_they_do(inventory: Inventory) -> None:
    old = await inventory.stocked("honey", 5, harvested_at=after(days=-9), sell_by=after(hours=1))
    new = await inventory.stocked("honey", 5, sell_by=after(days=9))
    await collect(inventory, 1)
    await inventory.wait(61)
    await collect(inventory, 3)
    await inventory.hear(sale(uuid4(), "t1", ("honey", 1)))
    await collect(inventory, 2)
    out = [event for event in await inventory.published(StockMoved) if event.from_place == "on_hand"]
    assert [(str(event.lot), event.quantity, event.expired) for event in out] == [
        (old, 1, False), (new, 3, False), (new, 1, False), (new, 1, False), (old, 1, True)
    ]  # fmt: skip
    trace = (await inventory.get(f"/v1/lots/{old}/trace"))["movements"]
    assert [move["expired"] for move in trace] == [False, False, True]
    await inventory.adds_up()
