"""The HTTP edge of inventory on a real database: intake, lending, counts, waste, and what it refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from contracts.events.catalog import ItemPut, TerminalPut
from contracts.events.inventory import (
    AllotmentGranted,
    ClaimsExceeded,
    LotReceived,
    LotRejected,
    LotReleased,
    SoldOut,
    StockMoved,
    StockRecounted,
    StockRefused,
)
from contracts.values import Unit
from tests.integration.inventory_service import Inventory, open_inventory
from tests.stack import TestStack
from tests.unit.inventory_world import NOON, POOL, reserve, sale

pytestmark = pytest.mark.stack
HONEY: dict[str, Any] = {"pool": POOL, "item": "honey"}


@pytest.fixture
async def inventory(stack: TestStack) -> AsyncIterator[Inventory]:
    async with open_inventory(stack) as world:
        yield world


def a_lot(**more: Any) -> dict[str, Any]:
    return {**HONEY, "household": "h1", "quantity": 20, "harvested_at": NOON.isoformat(), **more}


async def test_a_lot_is_sellable_only_after_its_inspection(inventory: Inventory) -> None:
    answer = await inventory.post("/v1/lots", a_lot())
    assert answer.status_code == 201, answer.text
    lot = answer.json()
    assert (lot["state"], lot["quantity"], lot["on_hand"]) == ("received", 20, 0)
    assert not (await inventory.get("/v1/stock", params={"pool": POOL}))["stock"]
    passed = await inventory.post(f"/v1/lots/{lot['lot_id']}:inspect", {"result": "pass", "quantity": 15})
    assert passed.status_code == 200, passed.text
    assert (passed.json()["state"], passed.json()["released"], passed.json()["rejected"]) == ("released", 15, 5)
    published = await inventory.published()
    assert [type(event) for event in published] == [LotReceived, StockMoved, LotReleased, LotRejected]
    again = await inventory.post(f"/v1/lots/{lot['lot_id']}:inspect", {"result": "pass", "quantity": 15})
    assert (again.status_code, again.json()) == (200, passed.json())
    other = await inventory.post(f"/v1/lots/{lot['lot_id']}:inspect", {"result": "fail"})
    assert other.status_code == 409
    assert len(await inventory.published()) == len(published)
    assert (await inventory.get(f"/v1/lots/{lot['lot_id']}", role="buyer")) == passed.json()
    trace = await inventory.get(f"/v1/lots/{lot['lot_id']}/trace")
    assert [(m["from_place"], m["to_place"], m["quantity"]) for m in trace["movements"]] == [("intake", "on_hand", 15)]


async def test_a_failed_lot_never_reaches_the_pool(inventory: Inventory) -> None:
    lot = (await inventory.post("/v1/lots", a_lot())).json()["lot_id"]
    answer = await inventory.post(f"/v1/lots/{lot}:inspect", {"result": "fail", "reason": "residue"})
    assert (answer.json()["state"], answer.json()["rejected"]) == ("rejected", 20)
    assert not await inventory.moves()
    assert not await inventory.published(LotReleased)


async def test_the_same_request_makes_one_lot_and_another_under_its_id_is_a_conflict(inventory: Inventory) -> None:
    body = a_lot(lot_id="01JCQZ7Z5Q8W4J9N3T2V6X8Y0Z")
    answers = await asyncio.gather(*(inventory.post("/v1/lots", body) for _ in range(5)))
    assert {(a.status_code, a.content) for a in answers} == {(201, answers[0].content)}
    assert len(await inventory.published(LotReceived)) == 1
    other = await inventory.post("/v1/lots", body | {"quantity": 21})
    assert (other.status_code, other.json()["code"]) == (409, "id-reused")
    assert await inventory.context.pool.fetchval("select count(*) from idempotency_conflict") == 1
    header = {"Idempotency-Key": "01JCQZ7Z5Q8W4J9N3T2V6X8Y0Z"}
    assert (await inventory.post("/v1/lots", a_lot(), headers=header)).content == answers[0].content
    header = {"Idempotency-Key": str(uuid4())}
    assert (await inventory.post("/v1/lots", body, headers=header)).status_code == 422


async def test_lending_is_a_promise_and_may_be_refused(inventory: Inventory) -> None:
    await inventory.stocked("honey", 10)
    answer = await inventory.lend("t1", "honey", 11)
    assert (answer.status_code, answer.json()["code"]) == (409, "not-available")
    assert "10 available" in answer.json()["detail"]
    allotment = str(uuid4())
    for _ in range(2):
        answer = await inventory.lend("t1", "honey", 10, allotment_id=allotment)
        assert answer.status_code == 201, answer.text
        assert (answer.json()["granted_total"], answer.json()["version"]) == (10, 1)
    assert len(await inventory.published(AllotmentGranted)) == 1
    assert (await inventory.lend("t1", "honey", 1, minutes=-1)).status_code == 422
    await inventory.adds_up()


async def test_lent_stock_moves_between_stalls_and_a_lapsed_lease_can_be_renewed(inventory: Inventory) -> None:
    await inventory.stocked("honey", 10)
    await inventory.lend("t1", "honey", 8)
    until = (inventory.clock.now() + timedelta(minutes=30)).isoformat()
    body = {**HONEY, "quantity": 3, "from_terminal": "t1", "to_terminal": "t2", "lease_until": until}
    answer = await inventory.post("/v1/allotments:move", body)
    assert answer.status_code == 201, answer.text
    assert (answer.json()["from"]["allotted"], answer.json()["to"]["allotted"]) == (5, 3)
    await inventory.wait(30)
    assert await inventory.figures("honey") == (10, 0, 0, 5, 3, 0, 2)
    renewal = {**HONEY, "terminal": "t2", "lease_until": (inventory.clock.now() + timedelta(minutes=9)).isoformat()}
    for _ in range(2):
        answer = await inventory.post("/v1/allotments:renew", renewal)
        assert (answer.status_code, answer.json()["allotted"], answer.json()["version"]) == (200, 3, 3)
    await inventory.wait(9)
    assert await inventory.figures("honey") == (10, 0, 0, 5, 3, 0, 2)
    unknown = await inventory.post("/v1/allotments:renew", renewal | {"terminal": "t9"})
    assert unknown.status_code == 404


async def test_a_count_is_compared_with_the_books_at_count_time(inventory: Inventory) -> None:
    await inventory.stocked("honey", 10)
    counted_at = inventory.clock.now()
    inventory.clock.advance(timedelta(minutes=5))
    await inventory.hear(sale(uuid4(), "t1", ("honey", 4)))
    body = {**HONEY, "counted": 9, "counted_at": counted_at.isoformat()}
    answer = await inventory.post("/v1/counts", body)
    assert answer.status_code == 201, answer.text
    assert (answer.json()["expected"], answer.json()["difference"]) == (10, -1)
    assert await inventory.figures("honey") == (5, 0, 0, 0, 0, 0, 5)
    (published,) = await inventory.published(StockRecounted)
    assert (published.expected, published.counted, published.counted_at) == (10, 9, counted_at)
    await inventory.adds_up()


async def test_a_count_settles_what_no_lot_could_bear(inventory: Inventory) -> None:
    await inventory.hear(sale(uuid4(), "t1", ("honey", 4)))
    lot = await inventory.stocked("honey", 10)
    (row,) = (await inventory.get("/v1/stock", params=HONEY))["stock"]
    assert [(one["lot_id"], one["on_hand"]) for one in row["by_lot"]] == [(lot, 10), (None, -4)]
    answer = await inventory.post("/v1/counts", {**HONEY, "counted": 6})
    assert answer.json()["difference"] == 0
    (row,) = (await inventory.get("/v1/stock", params=HONEY))["stock"]
    assert [(one["lot_id"], one["on_hand"]) for one in row["by_lot"]] == [(lot, 6)]
    await inventory.adds_up()


async def test_facts_break_promises_and_say_whose(inventory: Inventory) -> None:
    """Waste and a count below what is claimed: the newest holds are named first, then the newest allocations."""
    await inventory.stocked("honey", 10)
    ids = [uuid4() for _ in range(5)]
    for n, id in enumerate(ids):
        await inventory.hear(reserve(id, ("honey", 2), firm=n % 2 == 0))
    assert (await inventory.post("/v1/waste", {**HONEY, "quantity": 1})).status_code == 201
    assert (await inventory.post("/v1/waste", {**HONEY, "quantity": 4})).status_code == 201
    assert (await inventory.post("/v1/counts", {**HONEY, "counted": 1})).status_code == 201
    named = [(e.shortfall, e.reservations) for e in await inventory.published(ClaimsExceeded)]
    holds, firm = [ids[3], ids[1]], [ids[4], ids[2], ids[0]]
    assert named == [(1, holds[:1]), (5, holds + firm[:1]), (9, holds + firm)]
    assert await inventory.figures("honey") == (1, 4, 6, 0, 0, 9, 0)


async def test_waste_of_a_lot_that_was_read_corrects_what_was_inferred(inventory: Inventory) -> None:
    first = await inventory.stocked("honey", 5, sell_by=(NOON + timedelta(hours=1)).isoformat())
    second = await inventory.stocked("honey", 5, sell_by=(NOON + timedelta(hours=9)).isoformat())
    await inventory.hear(sale(uuid4(), "t1", ("honey", 5)))
    answer = await inventory.post("/v1/waste", {**HONEY, "quantity": 2, "lot": first})
    assert answer.status_code == 201, answer.text
    (row,) = (await inventory.get("/v1/stock", params=HONEY))["stock"]
    assert [(one["lot_id"], one["on_hand"]) for one in row["by_lot"]] == [(second, 3)]
    await inventory.adds_up()
    assert (await inventory.post("/v1/waste", {**HONEY, "quantity": 2, "lot": str(uuid4())})).status_code == 422


async def test_sold_out_closes_every_channel_and_is_told_once(inventory: Inventory) -> None:
    await inventory.stocked("honey", 5)
    path = f"/v1/pools/{POOL}/items/honey:sold-out"
    for _ in range(2):
        assert (await inventory.post(path, role="terminal")).json()["sold_out"] is True
    await inventory.hear(reserve(uuid4(), ("honey", 1)))
    assert (await inventory.published(StockRefused))[0].reason == "sold out"
    assert (await inventory.lend("t1", "honey", 1)).status_code == 409
    await inventory.hear(sale(uuid4(), "t1", ("honey", 1)))
    assert (await inventory.call("DELETE", path)).json()["sold_out"] is False
    assert [event.reopened for event in await inventory.published(SoldOut)] == [False, True]
    assert (await inventory.get("/v1/stock", params=HONEY))["stock"][0]["sold_out"] is False


async def test_what_the_catalogue_has_not_told_yet_is_try_again(inventory: Inventory) -> None:
    answer = await inventory.post("/v1/lots", a_lot(item="pear"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    await inventory.hear(ItemPut(id="pear", name_zh="梨", unit=Unit.GRAM, unit_g=1000))
    assert (await inventory.post("/v1/lots", a_lot(item="pear", quantity=None, weight_g=500))).status_code == 201
    assert (await inventory.lend("t9", "honey", 1)).status_code == 503
    assert (await inventory.post("/v1/lots", a_lot(pool="2026-05-17@simaochong"))).status_code == 503


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("/v1/lots", a_lot(quantity=0), "#"),
        ("/v1/lots", a_lot(colour="red"), "#/colour"),
        ("/v1/lots", a_lot(weight_g=5), "#"),
        ("/v1/lots", a_lot(quantity=None, weight_g=5), "#/weight_g"),
        ("/v1/lots", a_lot(harvested_at="2026-05-16T08:00:00"), "#/harvested_at"),
        ("/v1/counts", {**HONEY, "counted": -1}, "#/counted"),
        ("/v1/waste", {**HONEY, "quantity": 1, "pool": "nowhere"}, "#/pool"),
    ],
)
async def test_bad_input_is_a_problem_that_points_at_it(
    inventory: Inventory, path: str, body: dict[str, Any], pointer: str
) -> None:
    answer = await inventory.post(path, body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_roles(inventory: Inventory) -> None:
    assert (await inventory.post("/v1/lots", a_lot(), role="buyer")).status_code == 403
    assert (await inventory.post("/v1/waste", {**HONEY, "quantity": 1}, role="terminal")).status_code == 403
    assert (await inventory.call("GET", "/v1/stock", role="buyer")).status_code == 200
    assert (await inventory.client.get("/v1/stock")).status_code == 401


async def test_stock_has_a_tag_for_polling(inventory: Inventory) -> None:
    await inventory.stocked("honey", 5)
    first = await inventory.call("GET", "/v1/stock")
    headers = {"If-None-Match": first.headers["etag"]}
    assert (await inventory.call("GET", "/v1/stock", headers=headers)).status_code == 304
    await inventory.hear(sale(uuid4(), "t1", ("honey", 1)))
    assert (await inventory.call("GET", "/v1/stock", headers=headers)).status_code == 200


@pytest.mark.parametrize("query", ["pool=nowhere", "item=a%00b", "cursor=a%00/b", "limit=0"])
async def test_a_query_that_makes_no_sense_is_a_problem(inventory: Inventory, query: str) -> None:
    answer = await inventory.call("GET", f"/v1/stock?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "unprocessable")


async def test_a_terminal_is_lent_only_stock_of_its_site(inventory: Inventory) -> None:
    await inventory.hear(TerminalPut(id="far", site="elsewhere"))
    answer = await inventory.lend("far", "honey", 1)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/terminal")


async def test_stock_is_paged(inventory: Inventory) -> None:
    for item in ("honey", "oil-tofu"):
        await inventory.stocked(item, 5)
    first = await inventory.get("/v1/stock", params={"limit": 1})
    rest = await inventory.get("/v1/stock", params={"limit": 1, "cursor": first["next"]})
    assert [row["item"] for row in first["stock"] + rest["stock"]] == ["honey", "oil-tofu"]
    last = await inventory.get("/v1/stock", params={"limit": 1, "cursor": rest["next"]})
    assert last == {"stock": [], "next": None}


@pytest.mark.parametrize("body", ["body - 'unit'", "'7'"])
async def test_a_catalogue_entry_that_cannot_be_read_stops_only_its_own_item(inventory: Inventory, body: str) -> None:
    query = f"update catalog set body = {body} where kind = 'item' and id = 'honey'"
    assert await inventory.context.pool.execute(query) == "UPDATE 1"
    answer = await inventory.post("/v1/lots", a_lot())
    assert (answer.status_code, answer.json()["code"]) == (503, "catalogue-entry-unreadable")
    assert "item/honey" in answer.json()["detail"]
    tofu = a_lot(item="oil-tofu", quantity=None, weight_g=500)
    assert (await inventory.post("/v1/lots", tofu)).status_code == 201
    await inventory.hear(ItemPut(id="honey", name_zh="蜂蜜", unit=Unit.PIECE, unit_g=500))
    assert (await inventory.post("/v1/lots", a_lot())).status_code == 201
