"""The HTTP edge of orders on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import orjson
import pytest

from contracts.events import inventory as i
from contracts.events.orders import OrderPlaced, RecipientPut
from tests.integration.orders_world import CATALOG, Orders, an_order, at, open_orders
from tests.stack import TestStack

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
async def orders(stack: TestStack) -> AsyncIterator[Orders]:
    async with open_orders(stack) as world:
        yield world


async def test_an_order_is_taken_with_frozen_prices(orders: Orders):
    lines = [{"item": "honey", "quantity": 2}, {"item": "tofu", "weight_g": 750}]
    answer = await orders.post("/v1/orders", an_order(lines=lines))
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert (body["state"], body["pool"], body["total_fen"]) == ("placed", "sat@square", 1200 + 1499)
    assert [line["price"] for line in body["lines"]] == ["honey-app", "tofu-app"]
    order = body["order_id"]
    assert answer.headers["location"] == f"/v1/orders/{order}"
    placed, recipient = await orders.published(subject=order)
    assert isinstance(placed, OrderPlaced)
    assert isinstance(recipient, RecipientPut)
    assert (recipient.name, recipient.code, recipient.lat) == ("李姐", body["code"], 28.228)
    (reserve,) = [r for r in await orders.published("inventory.command.v1") if r.order == UUID(order)]
    assert [(line.item, line.quantity) for line in reserve.lines] == [("honey", 2), ("tofu", 750)]


async def test_a_pickup_names_nobody_to_dispatch(orders: Orders):
    order = await orders.place(fulfilment={"kind": "pickup", "point": "gate"})
    assert await orders.names(subject=order) == ["OrderPlaced"]
    person = (await orders.get(f"/v1/orders/{order}")).json()["recipient"]
    assert (person["name"], person["phone"]) == ("李姐", "13900000000")


async def test_the_same_again_gets_the_same_answer_and_does_nothing(orders: Orders):
    body = an_order(order_id=str(uuid4()))
    first = await orders.post("/v1/orders", body)
    before = len(await orders.published())
    again = await orders.post("/v1/orders", body)
    assert (again.status_code, again.content) == (first.status_code, first.content) == (201, first.content)
    assert len(await orders.published()) == before


async def test_other_content_under_an_id_is_a_conflict_that_is_kept(orders: Orders):
    id = await orders.place(order_id=str(uuid4()))
    answer = await orders.post("/v1/orders", an_order(order_id=str(id), lines=[{"item": "honey", "quantity": 9}]))
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    kept = await orders.context.pool.fetchval("select body::text from order_conflict where order_id = $1", id)
    assert '"quantity": 9' in kept
    assert "李姐" not in kept
    assert "2栋" not in kept


async def test_what_names_the_order(orders: Orders):
    key = "my-key-1"
    first = await orders.post("/v1/orders", an_order(), headers={"Idempotency-Key": key})
    again = await orders.post("/v1/orders", an_order(), headers={"Idempotency-Key": key})
    assert first.json() == again.json()
    ulid = "01JBQK5W9ZQ7W1XH4T8M2N3P4R"
    by_ulid = await orders.post("/v1/orders", an_order(order_id=ulid), headers={"Idempotency-Key": ulid})
    assert by_ulid.status_code == 201
    assert (await orders.get(f"/v1/orders/{ulid}")).json()["order_id"] == by_ulid.json()["order_id"]
    differs = await orders.post("/v1/orders", an_order(order_id=ulid), headers={"Idempotency-Key": "other"})
    assert (differs.status_code, differs.json()["errors"][0]["pointer"]) == (422, "#")


@pytest.mark.parametrize(
    ("change", "status", "pointer"),
    [
        ({"market_day": "sun"}, 422, "#/market_day"),
        ({"community": "xincheng"}, 422, "#/community"),
        ({"lines": [{"item": "gold", "quantity": 1}]}, 422, "#/lines/0/item"),
        ({"lines": [{"item": "honey", "weight_g": 500}]}, 422, "#/lines/0/weight_g"),
        ({"lines": [{"item": "tofu", "quantity": 1}]}, 422, "#/lines/0/quantity"),
        ({"lines": [{"item": "honey", "quantity": 0}]}, 422, "#/lines/0/quantity"),
        ({"channel": "live"}, 422, "#/lines/0/item"),
        ({"fulfilment": {"kind": "pickup", "point": "nowhere"}}, 422, "#/fulfilment/point"),
        ({"surprise": 1}, 422, "#/surprise"),
        ({"recipient": {"name": "x", "phone": "call me"}}, 422, "#/recipient/phone"),
    ],
)
async def test_what_is_wrong_is_named(orders: Orders, change: dict[str, object], status: int, pointer: str):
    answer = await orders.post("/v1/orders", an_order(**change))
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


async def test_a_quote_has_its_time(orders: Orders):
    quote = {"community": "qifeng", "wave": "sat-1", "slot_from": at(4), "slot_until": at(6), "mac": "0" * 64}
    address = an_order()["fulfilment"]["address"]
    for until, status in ((at(1), 201), (at(0), 409)):
        how = {"kind": "delivery", "address": address, "quote": {**quote, "until": until}}
        assert (await orders.post("/v1/orders", an_order(fulfilment=how))).status_code == status


async def test_a_batch_answers_each_order_in_order(orders: Orders):
    good, twin = an_order(order_id=str(uuid4())), an_order(order_id=str(uuid4()))
    items = [good, {"nonsense": 1}, an_order(community="nowhere"), twin, twin, an_order()]
    answer = await orders.post("/v1/orders:batch", items, headers={"Idempotency-Key": "b1"})
    answers = answer.json()["answers"]
    assert [one["status"] for one in answers] == [201, 422, 422, 201, 201, 201]
    assert answers[3] == answers[4]
    lines = b"\n".join([*(orjson.dumps(item) for item in items), b"not json"])
    again = await orders.call("POST", "/v1/orders:batch", "buyer", content=lines, headers={"Idempotency-Key": "b1"})
    assert [one.get("order") for one in again.json()["answers"][:6]] == [one.get("order") for one in answers]
    assert again.json()["answers"][6]["status"] == 400
    assert (await orders.call("POST", "/v1/orders:batch", "buyer", content=b"")).status_code == 422


async def test_many_at_once_share_commits(orders: Orders):
    before = len(await orders.published("orders.order.v1"))
    answers = await asyncio.gather(*(orders.post("/v1/orders", an_order()) for _ in range(60)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["order_id"] for answer in answers}) == 60
    assert len(await orders.published("orders.order.v1")) == before + 60


async def test_only_those_who_may_see_the_person(orders: Orders):
    id = await orders.place()
    trusted = (await orders.get(f"/v1/orders/{id}")).json()
    assert trusted["recipient"]["phone"] == "13900000000"
    for role in ("leader", "courier", "terminal"):
        seen = (await orders.get(f"/v1/orders/{id}", role)).text
        assert "13900000000" not in seen
        assert trusted["code"] not in seen
    for path in (f"/v1/orders/{id}", f"/v1/orders/{id}/history"):
        assert (await orders.get(path)).headers["cache-control"] == "no-store"
        assert "cache-control" not in (await orders.get(path, "leader")).headers
    known = {"If-None-Match": (await orders.get(f"/v1/orders/{id}")).headers["etag"]}
    assert (await orders.get(f"/v1/orders/{id}", headers=known)).headers["cache-control"] == "no-store"
    assert (await orders.post("/v1/orders", an_order(), "courier")).status_code == 403
    assert (await orders.client.get(f"/v1/orders/{id}")).status_code == 401


async def test_polling_is_cheap_and_waits(orders: Orders):
    id = await orders.place()
    first = await orders.get(f"/v1/orders/{id}")
    tag = {"If-None-Match": first.headers["etag"]}
    assert (await orders.get(f"/v1/orders/{id}", headers=tag)).status_code == 304
    waiting = asyncio.create_task(orders.get(f"/v1/orders/{id}?wait=2", headers=tag))
    reserved = first.json()["reservation"]
    await orders.hear(i.StockReserved(reservation=reserved, pool="sat@square", order=id, firm=True, lines=[]))
    answer = await waiting
    assert (answer.status_code, answer.json()["state"]) == (200, "reserved")


async def test_lists_are_paged(orders: Orders):
    ids = sorted([str(await orders.place()) for _ in range(3)])
    page = (await orders.get("/v1/orders?limit=2&state=placed&market_day=sat", "operator")).json()
    assert len(page["items"]) == 2
    rest = (await orders.get(f"/v1/orders?limit=500&state=placed&cursor={page['next']}", "operator")).json()
    assert rest["next"] is None
    assert set(ids) <= {one["order_id"] for one in page["items"] + rest["items"]}
    assert (await orders.get("/v1/orders", "buyer")).status_code == 403


async def test_what_does_not_exist(orders: Orders):
    assert (await orders.get(f"/v1/orders/{uuid4()}")).status_code == 404
    assert (await orders.get(f"/v1/orders/{uuid4()}/history")).status_code == 404
    assert (await orders.post(f"/v1/orders/{uuid4()}:cancel")).status_code == 404
    assert (await orders.get("/v1/orders/nonsense")).status_code == 422


async def test_the_catalogue_tells_only_changes(orders: Orders):
    before = len(await orders.published("orders.catalog.v1"))
    assert (await orders.put("items/honey", CATALOG["items/honey"])).json()["version"] == 1
    assert len(await orders.published("orders.catalog.v1")) == before
    changed = await orders.put("items/rice", {"name_zh": "米", "unit": "piece", "unit_g": 10_000})
    assert changed.status_code == 200
    assert (await orders.names("orders.catalog.v1"))[before:] == ["ItemPut"]
    assert (await orders.get("/v1/catalog/items/rice")).json()["unit_g"] == 10_000
    page = (await orders.get("/v1/catalog/items?limit=2")).json()
    assert [item["id"] for item in page["items"]] == ["honey", "rice"]
    assert page["next"] == "rice"


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("prices/p1", {**CATALOG["prices/honey-app"], "item": "gold"}, "#/item"),
        ("items/x", {"name_zh": "x", "unit": "piece", "unit_g": 1, "colour": "red"}, "#/colour"),
        ("items/x", {"name_zh": "x\x00", "unit": "piece", "unit_g": 1}, "#/name_zh"),
        ("market-days/d", {**CATALOG["market-days/sat"], "closes_at": at(-2)}, "#/closes_at"),
        (
            "market-days/d",
            {**CATALOG["market-days/sat"], "sites": [{"site": "square", "communities": ["qifeng", "qifeng"]}]},
            "#/sites/0/communities/1",
        ),
    ],
)
async def test_the_catalogue_refuses_nonsense(orders: Orders, path: str, body: dict[str, object], pointer: str):
    answer = await orders.put(path, body)
    assert answer.status_code == 422, answer.text
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


async def test_a_price_change_reaches_the_next_order_and_no_earlier_one(stack: TestStack):
    async with open_orders(stack) as orders:
        id = await orders.place()
        await orders.put("prices/honey-2", {**CATALOG["prices/honey-app"], "price_fen": 700, "effective_from": at(0)})
        later = await orders.post("/v1/orders", an_order())
        assert later.json()["total_fen"] == 1400
        assert (await orders.get(f"/v1/orders/{id}")).json()["total_fen"] == 1200


async def test_a_closed_market_day_takes_nothing_but_repeats(stack: TestStack):
    async with open_orders(stack) as orders:
        body = an_order(order_id=str(uuid4()))
        first = await orders.post("/v1/orders", body)
        orders.clock.advance(timedelta(hours=8))
        assert (await orders.post("/v1/orders", an_order())).json()["code"] == "market-day-closed"
        assert (await orders.post("/v1/orders", body)).content == first.content
