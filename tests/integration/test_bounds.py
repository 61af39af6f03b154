"""Object level authorisation (OWASP API1:2023): a caller acts within the bounds of its token; for what lies outside,
the answer is that of an object that does not exist.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from services.dispatch.app import SERVICE as DISPATCH
from services.inventory.app import SERVICE as INVENTORY
from services.orders.app import SERVICE as ORDERS
from tests.integration.callers import Callers, same_as_unknown
from tests.integration.dispatch_world import CATALOGUE, Order, World, hours, market_day, upload
from tests.integration.dispatch_world import fresh_world as fresh_world
from tests.integration.inventory_service import POOL, Inventory, open_inventory
from tests.integration.orders_world import Orders, an_order, open_orders
from tests.stack import TestStack

pytestmark = pytest.mark.stack
SITE = POOL.partition("@")[2]


@pytest.fixture
async def orders(stack: TestStack) -> AsyncIterator[Orders]:
    async with open_orders(stack) as found:
        yield found


@pytest.fixture
async def inventory(stack: TestStack) -> AsyncIterator[Inventory]:
    async with open_inventory(stack) as found:
        yield found


async def test_a_courier_is_no_other_courier(world: World) -> None:
    order = Order()
    await world.released([order])
    courier = str((await world.job(order))["courier"])
    callers = Callers(DISPATCH, world.context)
    report = {"device": "phone", "uploads": [upload(1, "fail", order, reason="not-home")]}
    for method, path, body in (("GET", "route", None), ("POST", "sync", report)):
        foreign = await callers.call("courier.x", method, f"/couriers/{courier}/{path}", body, couriers=["x"])
        assert foreign[0] == 404
        assert foreign[1]["detail"] == f"courier {courier} does not exist"
    own = await callers.call("courier.c", "GET", f"/couriers/{courier}/route", couriers=[courier])
    assert [stop["order"] for stop in own[1]["stops"]] == [str(order.id)]
    assert (await world.job(order))["tries"] == []


async def test_a_dispatcher_is_one_of_a_station(world: World) -> None:
    order = Order()
    await world.planned([order])
    callers, wave = Callers(DISPATCH, world.context), await world.call("operator", "GET", "/waves/noon")
    here, elsewhere = {"stations": [wave["station"]]}, {"stations": ["elsewhere"]}
    requests: tuple[tuple[str, str, Any], ...] = (
        ("GET", "/waves/{}", None),
        ("GET", "/waves/{}/plan", None),
        ("GET", "/waves/{}/problem", None),
        ("POST", "/waves/{}:cut", None),
        ("POST", "/waves/{}:release", None),
        (
            "POST",
            "/waves/{}/plan:apply",
            {"version": 1, "moves": [{"jobs": [str(order.job)], "courier": "x", "trip": 1}]},
        ),
    )
    for method, path, body in requests:
        foreign = await callers.call("staff.dispatcher", method, path.format("noon"), body, **elsewhere)
        assert (foreign[0], foreign[1]["detail"]) == (404, "wave noon does not exist"), path
    job = await callers.call("staff.dispatcher", "GET", f"/jobs/{order.job}", **elsewhere)
    assert (job[0], job[1]["detail"]) == (404, f"job {order.job} does not exist")
    for path, name in (("/waves", "waves"), ("/jobs", "jobs")):
        assert (await callers.call("staff.dispatcher", "GET", path, **elsewhere))[1][name] == []
        assert len((await callers.call("staff.dispatcher", "GET", path, **here))[1][name]) > 0
    assert (await callers.call("staff.dispatcher", "GET", f"/jobs/{order.job}", **here))[0] == 200
    assert (await callers.call("staff.dispatcher", "POST", "/waves/noon:release", **here))[0] == 200


async def test_a_terminal_is_no_other_terminal(orders: Orders) -> None:
    callers = Callers(ORDERS, orders.context)
    body = {"device": "d1", "market_day": "sat", "uploads": []}
    foreign = await callers.call("terminal.x", "POST", "/terminals/stall-1/sync", body, terminals=["x"])
    unknown = await callers.call("terminal.x", "POST", "/terminals/nowhere/sync", body, terminals=["x"])
    same_as_unknown(foreign, unknown, ("stall-1", "nowhere"))


async def test_stock_is_kept_by_site(inventory: Inventory) -> None:
    callers = Callers(INVENTORY, inventory.context)
    lot = {
        "pool": POOL, "item": "honey", "quantity": 5, "household": "h1",
        "harvested_at": inventory.clock.now().isoformat(),
    }  # fmt: skip
    status, taken = await callers.call("staff.intake", "POST", "/lots", lot, sites=[SITE])
    assert status == 201
    elsewhere = {"sites": ["elsewhere"]}
    assert (await callers.call("staff.intake", "POST", "/lots", lot, **elsewhere))[0] == 404
    id = taken["lot_id"]
    for method, path, body in (
        ("GET", f"/lots/{id}", None),
        ("GET", f"/lots/{id}/trace", None),
        ("POST", f"/lots/{id}:inspect", {"result": "pass"}),
    ):
        foreign = await callers.call("staff.intake", method, path, body, **elsewhere)
        assert (foreign[0], foreign[1]["detail"]) == (404, f"lot {id} does not exist")
        assert (await callers.call("staff.intake", method, path, body, sites=[SITE]))[0] == 200
    for method in ("POST", "DELETE"):
        path = f"/pools/{POOL}/items/honey:sold-out"
        assert (await callers.call("terminal.t1", method, path, **elsewhere))[0] == 404
        assert (await callers.call("terminal.t1", method, path, sites=[SITE]))[0] == 200
    assert (await callers.call("terminal.t1", "GET", "/stock", **elsewhere))[1]["stock"] == []
    assert len((await callers.call("terminal.t1", "GET", "/stock", sites=[SITE]))[1]["stock"]) == 1


async def test_a_request_id_belongs_to_its_subject(inventory: Inventory) -> None:
    callers, waste = Callers(INVENTORY, inventory.context), {"pool": POOL, "item": "honey", "quantity": 1}
    waste["reason"] = "spoiled"
    first, again, other = [
        await callers.call(f"steward.{who}", "POST", "/waste", waste, key="monday", sites=[SITE]) for who in "aab"
    ]
    assert first == again
    assert (first[0], other[0]) == (201, 201)
    assert first[1]["waste_id"] != other[1]["waste_id"]
    named = waste | {"waste_id": str(uuid4())}
    assert (await callers.call("steward.a", "POST", "/waste", named, sites=[SITE]))[0] == 201
    for body in (named, named | {"quantity": 2}):
        status, problem = await callers.call("steward.b", "POST", "/waste", body, sites=[SITE])
        assert (status, problem["code"]) == (409, "id-reused")
    assert await inventory.context.pool.fetchval("select count(*) from idempotency_conflict") == 0
    assert await inventory.context.pool.fetchval("select count(*) from movement") == 3


async def test_a_shift_id_belongs_to_its_subject(world: World) -> None:
    await world.feed(*CATALOGUE, market_day())
    callers, path = Callers(DISPATCH, world.context), "/couriers/van-2/shifts"
    shift = {"market_day": "sat", "from": hours(3).isoformat(), "until": hours(9).isoformat()}
    first, other = [await callers.call(f"staff.{role}", "POST", path, shift, "k") for role in ("admin", "dispatcher")]
    assert (first[0], other[0]) == (201, 201), (first, other)
    assert first[1]["shift"] != other[1]["shift"]
    named = shift | {"shift_id": first[1]["shift"]}
    assert await callers.call("staff.admin", "POST", path, named) == first
    assert (await callers.call("staff.dispatcher", "POST", path, named))[0] == 409


async def test_a_movement_names_its_subject(inventory: Inventory) -> None:
    callers = Callers(INVENTORY, inventory.context)
    waste = {"pool": POOL, "item": "honey", "quantity": 1, "reason": "spoiled"}
    assert (await callers.call("staff.intake", "POST", "/waste", waste, sites=[SITE]))[0] == 201
    actors = await inventory.context.pool.fetch("select distinct actor from movement")
    assert [row["actor"] for row in actors] == ["inventory.api/staff.intake"]


async def test_a_buyer_learns_what_is_offered_and_not_how_much(inventory: Inventory) -> None:
    await inventory.stocked("honey", 5)
    callers, path = Callers(INVENTORY, inventory.context), f"/availability?pool={POOL}"
    assert (await callers.call("resident.anna", "GET", "/stock"))[0] == 403
    assert (await callers.call("household.h1", "GET", "/stock"))[0] == 403
    status, page = await callers.call("resident.anna", "GET", path)
    assert (status, page) == (200, {"availability": [{"item": "honey", "available": True}], "next": None})
    await callers.call("terminal.t1", "POST", f"/pools/{POOL}/items/honey:sold-out", sites=[SITE])
    assert (await callers.call("resident.anna", "GET", path))[1]["availability"][0]["available"] is False
    assert (await callers.call("resident.anna", "GET", "/availability"))[0] == 422


async def test_a_buyer_sees_her_part_of_the_catalogue(orders: Orders) -> None:
    await orders.put("couriers/li", {"station": "guandu", "capacity_g": 100})
    await orders.put("points/hall", {"community": "xincheng", "name_zh": "大厅"})
    await orders.put(
        "prices/honey-group",
        {"item": "honey", "channel": "group", "price_fen": 500, "effective_from": "2024-11-01T00:00:00Z"},
    )
    callers = Callers(ORDERS, orders.context)

    async def seen(who: str, kind: str, **bounds: list[str]) -> list[str]:
        _, page = await callers.call(who, "GET", f"/catalog/{kind}", **bounds)
        return [entry["id"] for entry in page["items"]]

    home = {"communities": ["qifeng"]}
    assert await seen("resident.anna", "prices") == ["honey-app", "tofu-app"]
    assert await seen("leader.l1", "prices") == ["honey-app", "honey-group", "tofu-app"]
    assert await seen("terminal.stall-1", "prices") == ["honey-stall"]
    assert await seen("resident.anna", "points", **home) == ["gate"]
    assert await seen("resident.anna", "communities", **home) == ["qifeng"]
    assert await seen("courier.li", "couriers", couriers=["li"]) == ["li"]
    assert await seen("staff.desk", "points", **home) == ["gate", "hall"]
    assert await seen("resident.anna", "couriers") == []
    for path in ("couriers/li", "prices/honey-group", "prices/honey-stall", "points/hall", "terminals/stall-1"):
        kind = path.partition("/")[0]
        hidden = await callers.call("resident.anna", "GET", f"/catalog/{path}", **home)
        unknown = await callers.call("resident.anna", "GET", f"/catalog/{kind}/nowhere", **home)
        same_as_unknown(hidden, unknown, (path, f"{kind}/nowhere"))
    assert (await callers.call("resident.anna", "GET", "/catalog/points/gate", **home))[0] == 200


async def test_an_order_is_placed_on_a_channel_of_its_buyer_and_for_her_community(orders: Orders) -> None:
    callers, order = Callers(ORDERS, orders.context), an_order(payment="pending")
    for channel in ("group", "stall"):
        status, problem = await callers.call("resident.anna", "POST", "/orders", {**order, "channel": channel})
        assert (status, problem["errors"][0]["pointer"]) == (422, "#/channel")
    status, problem = await callers.call("resident.anna", "POST", "/orders", order, communities=["xincheng"])
    assert (status, problem["errors"][0]["pointer"]) == (422, "#/community")
    assert (await callers.call("resident.anna", "POST", "/orders", order, communities=["qifeng"]))[0] == 201
