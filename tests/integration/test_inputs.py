"""No input is answered with a 500, whichever service gets it; and what is refused is refused in the right words."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from services.dispatch import app as dispatch_app
from services.dispatch.planning.construct import greedy
from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import RoutingProblem
from services.dispatch.planning.process import planner
from services.inventory import app as inventory_app
from services.kit.process import openapi
from services.orders import app as orders_app
from tests.integration import boundary
from tests.integration.campaign_world import a_campaign, a_join, open_one
from tests.integration.dispatch_world import CATALOGUE, World, hours, market_day, wave
from tests.integration.dispatch_world import fresh_world as fresh_world
from tests.integration.inventory_service import Inventory, open_inventory
from tests.integration.orders_world import CATALOG, NOW, Orders, an_order, at, open_orders
from tests.stack import TestStack
from tests.unit.inventory_world import NOON, POOL

pytestmark = pytest.mark.stack
COUNT = 300
EARLY, LATE = "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"
JSON = {"content-type": "application/json"}
NIL = "00000000-0000-0000-0000-000000000000"


def a_quote(**more: Any) -> dict[str, Any]:
    return {
        "community": "qifeng",
        "wave": "sat-1",
        "slot_from": at(4),
        "slot_until": at(6),
        "until": at(3),
        "mac": "0" * 64,
        **more,
    }


def quoted(**more: Any) -> dict[str, Any]:
    """A good order but for what is changed in its quote."""
    order = an_order(order_id=str(uuid4()))
    order["fulfilment"]["quote"] = a_quote(**more)
    return order


async def test_orders_survives_every_edge(stack: TestStack):
    async with open_orders(stack) as orders:
        campaign, placed = await open_one(orders), await orders.place()
        good: dict[str, dict[str, Any]] = {
            "/v1/orders": quoted(),
            "/v1/campaigns": a_campaign(campaign_id=str(uuid4())),
            f"/v1/campaigns/{campaign.id}/joins": a_join(join_id=str(uuid4())),
            f"/v1/campaigns/{campaign.id}/relay": {"chat": "c1", "entries": [{**a_join(), "entry": 1}]},
            f"/v1/orders/{placed}:pay": {"payment_id": "p1", "amount_fen": 1200},
            f"/v1/orders/{placed}:cancel": {"reason": "changed my mind"},
            f"/v1/orders/{placed}:collect": {"code": "123456"},
            "/v1/receipts/simulator/tx-1:assign": {"order_id": str(placed)},
        }
        catalogue = {f"/v1/catalog/{path}": body for path, body in CATALOG.items()}
        ids = {"order": str(placed), "campaign": str(campaign.id), "join": str(uuid4()), "kind": "items", "id": "honey"}
        ids["member"] = f"member.{uuid4()}"
        document = openapi.document(orders_app.SERVICE)
        await boundary.try_all(orders.call, boundary.bodies(good), 1, COUNT)
        await boundary.try_all(orders.call, boundary.parameters(document, ids), 2, COUNT)
        await boundary.try_all(orders.call, boundary.bodies(catalogue), 7, COUNT)
        credit = {f"/v1/members/{ids['member']}:credit": {"allowed": True, "limit_fen": 5, "holder": "resident.anna"}}
        await boundary.try_all(orders.call, boundary.bodies(credit), 9, COUNT)


async def test_inventory_survives_every_edge(stack: TestStack):
    async with open_inventory(stack) as inventory:
        lot = await inventory.stocked("honey", 50)
        goods = {"pool": POOL, "item": "honey", "quantity": 1}
        lease = {"lease_until": (NOON + timedelta(hours=1)).isoformat()}
        good: dict[str, dict[str, Any]] = {
            "/v1/lots": {**goods, "lot_id": str(uuid4()), "household": "h1", "harvested_at": NOON.isoformat()},
            f"/v1/lots/{lot}:inspect": {"result": "pass", "quantity": 50, "reason": "other", "note": "good"},
            "/v1/allotments": {**goods, **lease, "terminal": "t1", "allotment_id": str(uuid4())},
            "/v1/allotments:return": {**goods, "terminal": "t1"},
            "/v1/allotments:move": {**goods, **lease, "from_terminal": "t1", "to_terminal": "t2"},
            "/v1/allotments:renew": {"terminal": "t1", "pool": POOL, "item": "honey", **lease},
            "/v1/counts": {"pool": POOL, "item": "honey", "lot": lot, "counted": 5, "counted_at": NOON.isoformat()},
            "/v1/waste": {**goods, "lot": lot, "reason": "damaged", "note": "bruised"},
            f"/v1/pools/{POOL}/items/honey:sold-out": {},
        }
        document = openapi.document(inventory_app.SERVICE)
        await boundary.try_all(inventory.call, boundary.bodies(good), 3, COUNT)
        await boundary.try_all(inventory.call, boundary.parameters(document, {"id": lot}), 4, COUNT)


async def test_dispatch_survives_every_edge(world: World, monkeypatch: pytest.MonkeyPatch):
    async def plan(problem: RoutingProblem, _seconds: float, _seed: int) -> Plan:  # without a process for each
        return greedy.solve(problem)

    monkeypatch.setattr(planner, "plan", plan)
    await world.feed(*CATALOGUE, market_day())
    job = str(uuid4())
    shift = {"from": hours(3).isoformat(), "until": hours(9).isoformat()}
    station = {"lat": 28.226, "lon": 112.962}
    order = {"id": "o1", "place": station, "load_g": 1, "cold_ml": 0, "windows": [{"from_s": 0, "until_s": 10**9}]}
    courier = {"id": "c1", "capacity_g": 10, "cold_ml": 0, "from_s": 0, "until_s": 2 * 10**9}
    good: dict[str, dict[str, Any]] = {
        "/v1/couriers/van-1/shifts": {**shift, "shift_id": str(uuid4()), "wave": "noon"},
        "/v1/plan?seconds=0.01": {"station": station, "couriers": [courier], "orders": [order], "load_s": 60},
        "/v1/waves/noon/plan:apply": {"version": 1, "moves": [{"jobs": [job], "courier": "van-1", "trip": 1}]},
        f"/v1/jobs/{job}:reassign": {"courier": "van-1", "expected_epoch": 1},
    }
    ids = {"wave": "noon", "job": job, "courier": "van-1", "id": "1"}
    document = openapi.document(dispatch_app.SERVICE)

    async def call(method: str, path: str, **more: Any) -> Any:
        headers = {"Authorization": "Bearer operator", **more.pop("headers", {})}
        return await world.http.request(method, path, headers=headers, **more)

    await boundary.try_all(call, boundary.bodies(good), 5, COUNT)
    await boundary.try_all(call, boundary.parameters(document, ids), 6, COUNT)


ORDERS = [
    ("/v1/orders", quoted(until=LATE), "#/fulfilment/quote/until"),
    ("/v1/orders", quoted(slot_from=EARLY), "#/fulfilment/quote/slot_from"),
    ("/v1/orders", quoted(mac="x" * 200_000), "#/fulfilment/quote/mac"),
    ("/v1/orders", quoted(mac="0" * 63 + "\x00"), "#/fulfilment/quote/mac"),
    ("/v1/orders", an_order(order_id=NIL), "#"),
    ("/v1/orders", an_order(lines=[{"item": "honey", "quantity": True}]), "#/lines/0/quantity"),
    ("/v1/orders", an_order(lines=[{"item": "honey", "quantity": "1"}]), "#/lines/0/quantity"),
    ("/v1/orders", an_order(recipient={"name": "\u200b", "phone": "13900000000"}), "#/recipient/name"),
    ("/v1/orders", an_order(recipient={"name": "   ", "phone": "13900000000"}), "#/recipient/name"),
    ("/v1/orders", an_order(recipient={"name": "a\x07", "phone": "13900000000"}), "#/recipient/name"),
    ("/v1/orders", an_order(recipient={"name": "李姐", "phone": "1----"}), "#/recipient/phone"),
    ("/v1/orders", an_order(fulfilment={"kind": "delivery"}), "#/fulfilment/address"),
    ("/v1/campaigns", a_campaign(closes_at=LATE), "#/closes_at"),
    ("/v1/campaigns", a_campaign(closes_at=EARLY), "#/closes_at"),
    ("/v1/campaigns", a_campaign(threshold={"of": "weight", "at_least": 100_001}), "#/threshold/at_least"),
    ("/v1/campaigns", a_campaign(threshold={"of": "amount", "at_least": 140_001}), "#/threshold/at_least"),
]


async def test_orders_names_what_is_wrong(stack: TestStack):
    async with open_orders(stack) as orders:
        await open_one(orders)
        for path, body, pointer in ORDERS:
            answer = await orders.call("POST", path, json=body)
            assert answer.status_code == 422, (path, pointer, answer.text)
            assert [error["pointer"] for error in answer.json()["errors"]] == [pointer], answer.text
        exact = a_campaign(threshold={"of": "amount", "at_least": 140_000})
        assert (await orders.post("/v1/campaigns", exact, "leader")).status_code == 201, "100 x 500 + 100 jin x 900"
        await _a_total_over_the_most(orders)
        await _good_entries_beside_bad_ones(orders)


async def _a_total_over_the_most(orders: Orders) -> None:
    dear = {"item": "honey", "channel": "app", "price_fen": 100_000_000, "effective_from": NOW.isoformat()}
    assert (await orders.put("prices/honey-app", dear)).status_code == 200
    answer = await orders.post("/v1/orders", an_order(lines=[{"item": "honey", "quantity": 10_001}]))
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/lines")
    assert (await orders.post("/v1/orders", an_order(lines=[{"item": "honey", "quantity": 10_000}]))).status_code == 201


async def _good_entries_beside_bad_ones(orders: Orders) -> None:
    campaign = await open_one(orders)
    bad = [{**a_join(1), "entry": 10**30}, {**a_join(2), "entry": "\ud800"}, {**a_join(3), "\ud800": 1, "entry": 3}, 5]
    content = {"chat": "c", "entries": [{**a_join(0), "entry": 1}, *bad, {**a_join(4), "entry": 6}]}
    path = f"/v1/campaigns/{campaign.id}/relay"
    answer = await orders.call("POST", path, content=json.dumps(content), headers=JSON)
    assert answer.status_code == 200, answer.text
    answers = answer.json()["answers"]
    assert [one["status"] for one in answers] == [201, 422, 422, 422, 422, 201]
    assert [one["entry"] for one in answers] == [1, None, None, 3, None, 6]
    assert len(await campaign.joins()) == 2
    for cursor in ("3000000000", "-9000000000"):
        answer = await orders.get(f"/v1/campaigns/{campaign.id}/joins?cursor={cursor}", "leader")
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "query/cursor")


async def test_inventory_names_what_is_wrong(stack: TestStack):
    async with open_inventory(stack) as inventory:
        goods = {"pool": POOL, "item": "honey", "quantity": 1}
        for moment in (EARLY, LATE):
            await _refused(
                inventory, "/v1/lots", {**goods, "household": "h1", "harvested_at": moment}, "#/harvested_at"
            )
            await _refused(
                inventory, "/v1/allotments", {**goods, "terminal": "t1", "lease_until": moment}, "#/lease_until"
            )
            renewal = {"pool": POOL, "item": "honey", "terminal": "t1", "lease_until": moment}
            await _refused(inventory, "/v1/allotments:renew", renewal, "#/lease_until")
            count = {"pool": POOL, "item": "honey", "counted": 1, "counted_at": moment}
            await _refused(inventory, "/v1/counts", count, "#/counted_at")
        answer = await inventory.post(f"/v1/pools/{POOL}%00/items/honey:sold-out")
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "path/pool")
        for pool, item in (("2020-01-01@s", "honey"), (POOL, "nothing")):
            answer = await inventory.post("/v1/counts", {"pool": pool, "item": item, "counted": 1})
            assert answer.status_code == 503
            assert "does not exist" in answer.json()["detail"]


async def _refused(inventory: Inventory, path: str, body: dict[str, Any], pointer: str) -> None:
    answer = await inventory.post(path, body)
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_dispatch_names_what_is_wrong(world: World):
    await world.feed(*CATALOGUE, market_day(wave("noon", 4, 2)))
    shift = {"wave": "noon", "from": hours(1).isoformat()}
    for moment in (EARLY, LATE):
        answer = await world.call("operator", "POST", "/couriers/van-1/shifts", 422, json=shift | {"until": moment})
        assert [error["pointer"] for error in answer["errors"]] == ["#/until"]
        await world.call("buyer", "GET", "/promises", 422, params={"community": "simaochong", "at": moment})
    late = {"station": {"lat": 28.0, "lon": 113.0}, "couriers": [], "load_s": 0}
    late["orders"] = [{"id": "o", "place": late["station"], "load_g": 0, "cold_ml": 0, "windows": []}]
    late["orders"][0]["windows"] = [{"from_s": 0, "until_s": 2**40}]
    answer = await world.call("operator", "POST", "/plan", 422, json=late)
    assert [error["pointer"] for error in answer["errors"]] == ["#/orders/0/windows/0/until_s"]


async def test_no_promise_says_why(world: World):
    await world.feed(*CATALOGUE, market_day(wave("noon", 4, 2)))

    async def reason(hour: float, **more: str) -> str:
        params = {"community": "simaochong", "at": hours(hour).isoformat(), **more}
        return str((await world.call("buyer", "GET", "/promises", 404, params=params))["detail"])

    assert await reason(2) == "every wave is past its cutoff"
    assert await reason(3, market_day="sat") == "every wave is past its cutoff"
    await world.call("operator", "POST", "/waves/noon:cut")
    assert await reason(0) == "every wave is past its cutoff"
    assert await reason(100) == "no market day serves simaochong at that time"
    assert await reason(1, community="nowhere") == "no market day serves nowhere at that time"
