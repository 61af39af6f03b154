"""The access log and the actors: who acted, and that nothing can change what is written there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx2
import pytest

from contracts.events.inventory import StockReserved
from contracts.values import reservation_of
from services.dispatch.app import SERVICE as DISPATCH
from services.kit.process.api import create_api
from services.kit.transaction import access_log
from services.orders.app import SERVICE as ORDERS
from tests.integration.callers import Callers
from tests.integration.campaign_world import PRICES, a_campaign
from tests.integration.dispatch_world import Order, World, upload
from tests.integration.dispatch_world import fresh_world as fresh_world
from tests.integration.orders_world import Orders, an_order, open_orders
from tests.stack import TestStack

pytestmark = pytest.mark.stack
ANNA, DISPATCHER, ADMIN = "resident.anna", "staff.dispatcher", "staff.admin"


@pytest.fixture
async def orders(stack: TestStack) -> AsyncIterator[Orders]:
    async with open_orders(stack) as found:
        yield found


async def log(callers: Callers, **query: Any) -> list[dict[str, Any]]:
    """The access log as an administrator reads it."""
    text = "&".join(f"{name.rstrip('_')}={value}" for name, value in query.items())
    status, found = await callers.call(ADMIN, "GET", f"/access-log?{text}")
    assert status == 200, found
    return list(found["accesses"])


async def test_each_step_of_an_order_names_its_actor(orders: Orders) -> None:
    callers = Callers(ORDERS, orders.context)
    status, order = await callers.call(ANNA, "POST", "/orders", an_order(payment="pending"))
    assert status == 201
    claim = {"reservation": reservation_of(UUID(order["order_id"]), order["pool"], 1), "order": order["order_id"]}
    await orders.hear(StockReserved(**claim, pool=order["pool"], firm=False, lines=[]))
    assert (await callers.call(ADMIN, "POST", f"/orders/{order['order_id']}:cancel"))[0] == 200
    by_local = await orders.place()
    history = (await callers.call(ANNA, "GET", f"/orders/{order['order_id']}/history"))[1]["steps"]
    assert [step["actor"] for step in history] == [ANNA, "inventory", ADMIN]
    found = await orders.get(f"/v1/orders/{by_local}/history")
    assert [step["actor"] for step in found.json()["steps"]] == ["local.buyer"]
    assert "actor" not in (await orders.get(f"/v1/orders/{by_local}/history", "courier")).json()["steps"][0]


async def test_acts_on_waves_and_jobs_name_their_subject(world: World) -> None:
    callers, order = Callers(DISPATCH, world.context), Order()
    await world.planned([order])
    routes = (await world.call("operator", "GET", "/waves/noon/plan"))["routes"]
    move = {"jobs": [str(order.job)], "courier": "van-2" if routes[0]["courier"] == "van-1" else "van-1", "trip": 1}
    version = (await world.call("operator", "GET", "/waves/noon"))["version"]
    moved = {"version": version, "moves": [move]}
    assert (await callers.call(DISPATCHER, "POST", "/waves/noon/plan:apply", moved))[0] == 200
    for _ in range(2):
        assert (await callers.call(DISPATCHER, "POST", "/waves/noon:release"))[0] == 200
    body = {"courier": routes[0]["courier"], "expected_epoch": 1}
    for _ in range(2):
        assert (await callers.call(ADMIN, "POST", f"/jobs/{order.job}:reassign", body))[0] == 200
    acts = [(row["subject"], row["kind"], row["action"], row["record"]) for row in await log(callers)]
    assert [act for act in acts if act[2] != "read plan"] == [
        ("local.operator", "local", "cut", "wave/noon"),
        (DISPATCHER, "staff", "move", "wave/noon"),
        (DISPATCHER, "staff", "release", "wave/noon"),
        (ADMIN, "staff", "reassign", f"job/{order.job}"),
    ]


async def test_who_gave_up_a_dead_letter_is_kept(world: World) -> None:
    callers = Callers(DISPATCH, world.context)
    await world.pool.execute("insert into parked_scope (consumer, scope) values ('dispatch.gone', 's')")
    id = await world.pool.fetchval(
        'insert into parked (consumer, scope, event_id, topic, partition, "offset", headers, error, attempts) '
        "values ('dispatch.gone', 's', $1, 'orders.order.v1', 0, 0, '{}', 'bad', 1) returning id",
        uuid4(),
    )
    assert (await callers.call(ADMIN, "POST", "/parked:redrive", {"scope": "s"}))[0] == 200
    assert (await callers.call(ADMIN, "POST", "/parked:redrive", {"scope": "not blocked"}))[0] == 200
    assert (await callers.call(ADMIN, "POST", f"/parked/{id}:discard", {"why": "a test"}))[0] == 204
    found = (await callers.call(ADMIN, "GET", f"/parked/{id}"))[1]
    assert (found["discarded_by"], found["why"]) == (ADMIN, "a test")
    acts = [(row["action"], row["record"]) for row in await log(callers, subject=ADMIN)]
    assert acts == [("redrive", "dead-letter/s"), ("discard", f"dead-letter/{id}")]


async def test_what_a_leader_does_with_a_group_buy_names_her(orders: Orders) -> None:
    callers = Callers(ORDERS, orders.context)
    for path, entry in PRICES.items():
        assert (await orders.put(path, entry)).status_code == 200
    for _ in range(2):
        status, campaign = await callers.call("leader.l1", "POST", "/campaigns", a_campaign(), key="one")
        assert status == 201, campaign
    id = campaign["campaign_id"]
    entries = {"chat": "chat-1", "entries": [{"entry": 1}]}
    assert (await callers.call("leader.l1", "POST", f"/campaigns/{id}/relay", entries))[0] == 200
    acts = [(row["subject"], row["action"], row["record"]) for row in await log(callers)]
    assert acts == [("leader.l1", "open", f"campaign/{id}"), ("leader.l1", "relay", f"campaign/{id}")]


async def test_who_resets_a_terminals_device_is_recorded(orders: Orders) -> None:
    callers = Callers(ORDERS, orders.context)
    assert (await callers.call(ADMIN, "POST", "/terminals/stall-1:reset-device"))[0] == 200
    assert (await callers.call(ADMIN, "POST", "/terminals/nowhere:reset-device"))[0] == 404
    acts = [(row["subject"], row["action"], row["record"]) for row in await log(callers)]
    assert acts == [(ADMIN, "reset-device", "terminal/stall-1")]


async def test_the_log_only_grows(world: World) -> None:
    await world.call("operator", "POST", "/waves/nowhere:cut", 404)
    await world.planned([Order()])
    (part,) = await world.pool.fetch("select tableoid::regclass::text as name from access_log")
    for table in ("access_log", part["name"]):
        for statement in (f"update {table} set subject = 'x'", f"delete from {table}", f"truncate {table}"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only grows"):
                await world.pool.execute(statement)
    assert [row["subject"] for row in await log(Callers(DISPATCH, world.context))] == ["local.operator"]


async def test_months_leave_the_log_after_their_time(world: World) -> None:
    pool = world.pool
    await pool.execute(
        "create table access_log_202001 partition of access_log "
        "for values from ('2020-01-01T00:00Z') to ('2020-02-01T00:00Z')"
    )
    old = "insert into access_log (at, tenant, subject, kind, action, record, fields) values ($1, 'main', 'staff.a', "
    await pool.execute(old + "'staff', 'read', 'order/1', '{person}')", world.clock.now().replace(year=2020, month=1))
    await world.planned([Order()])
    await access_log.prepare(pool, 36500)
    assert await pool.fetchval("select count(*) from access_log") == 2
    await access_log.prepare(pool, 400)
    assert [row["action"] for row in await log(Callers(DISPATCH, world.context))] == ["cut"]
    months = await pool.fetchval("select count(*) from pg_inherits where inhparent = 'access_log'::regclass")
    assert months == 3


async def reads(callers: Callers, **query: Any) -> list[tuple[Any, ...]]:
    """The readings in the access log: subject, view, record and fields."""
    rows = await log(callers, **query)
    found = [(row["subject"], *row["action"].split(" ", 1), row["record"], row["fields"]) for row in rows]
    return [(subject, *more) for subject, verb, *more in found if verb == "read"]


async def test_who_is_shown_a_person_or_a_code_is_recorded(orders: Orders) -> None:
    callers = Callers(ORDERS, orders.context)
    status, order = await callers.call(ANNA, "POST", "/orders", an_order(payment="pending"))
    assert status == 201
    path = f"/orders/{order['order_id']}"
    for who, get in (("staff.finance", path), ("staff.desk", path), (ANNA, path), (ANNA, f"{path}/history")):
        assert (await callers.call(who, "GET", get))[0] == 200
    assert (await callers.call(ANNA, "POST", f"{path}:cancel", {"note": "we are away"}))[0] == 200
    assert (await callers.call("staff.desk", "GET", f"{path}/history"))[0] == 200
    assert (await callers.call("staff.desk", "GET", "/orders"))[0] == 200
    record, everything = f"order/{order['order_id']}", ["address", "code", "person"]
    assert await reads(callers) == [
        ("staff.desk", "order", record, everything),
        (ANNA, "order", record, everything),
        (ANNA, "change", record, ["code"]),
        ("staff.desk", "history", record, ["note"]),
    ]
    assert await reads(callers, record=record, subject=ANNA) == (await reads(callers))[1:3]


async def test_an_answer_without_content_or_person_is_no_reading(orders: Orders) -> None:
    callers, id = Callers(ORDERS, orders.context), await orders.place()
    seen = await orders.get(f"/v1/orders/{id}", "buyer")
    assert seen.headers["cache-control"] == "no-store"
    again = await orders.get(f"/v1/orders/{id}", "buyer", headers={"If-None-Match": seen.headers["etag"]})
    assert again.status_code == 304
    assert (await orders.get(f"/v1/orders/{id}", "courier")).status_code == 200
    assert [subject for subject, *_ in await reads(callers)] == ["local.buyer"]
    await orders.context.pool.execute("update orders set state = 'failed'")
    assert (await orders.post(f"/v1/orders/{id}:erase", {"why": "a test"}, "operator")).status_code == 200
    assert (await orders.get(f"/v1/orders/{id}", "buyer")).status_code == 200
    assert len(await reads(callers)) == 1, "an erased person is shown to no one, and the rows about it stay"


async def test_who_polls_an_own_order_is_recorded_once_an_hour(orders: Orders) -> None:
    callers = Callers(ORDERS, orders.context)
    status, order = await callers.call(ANNA, "POST", "/orders", an_order(payment="pending"))
    assert status == 201
    for who in (ANNA, "staff.desk") * 3:
        assert (await callers.call(who, "GET", f"/orders/{order['order_id']}"))[0] == 200
    found = [subject for subject, *_ in await reads(callers)]
    assert [found.count(who) for who in (ANNA, "staff.desk")] == [1, 3]


async def test_a_reading_that_cannot_be_recorded_is_not_answered(orders: Orders) -> None:
    id = await orders.place()
    await orders.context.pool.execute("alter table access_log add constraint broken check (kind <> 'local')")
    transport = httpx2.ASGITransport(create_api(ORDERS, orders.context), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://orders") as http:
        answer = await http.get(f"/v1/orders/{id}", headers={"Authorization": "Bearer buyer-token"})
    assert answer.status_code == 500
    assert "李姐" not in answer.text


async def test_a_polled_route_is_recorded_once_an_hour_for_each_order(world: World) -> None:
    one, two = [Order(n=n) for n in range(2)]
    await world.released([one, two])
    callers, couriers = Callers(DISPATCH, world.context), ("van-1", "van-2")
    for _ in range(3):
        for courier in couriers:
            await callers.call(f"courier.{courier}", "GET", f"/couriers/{courier}/route", couriers=[courier])
    expected = []
    for courier in couriers:
        jobs = [await world.job(order) for order in (one, two)]
        mine = [job["order"] for job in jobs if job["courier"] == courier]
        expected += [(f"courier.{courier}", "route", f"order/{order}", ["address", "person"]) for order in mine]
    assert sorted(await reads(callers)) == sorted(expected)
    assert len(expected) == 2
    await world.pool.execute("alter table access_log disable trigger append_only")
    await world.pool.execute("update access_log set at = at - interval '61 minutes'")
    for courier in couriers:
        await callers.call(f"courier.{courier}", "GET", f"/couriers/{courier}/route", couriers=[courier])
    assert sorted(await reads(callers)) == sorted(expected * 2)


async def test_the_positions_of_a_wave_are_recorded_by_order(world: World) -> None:
    one, two = [Order(n=n) for n in range(2)]
    await world.planned([one, two])
    callers = Callers(DISPATCH, world.context)
    for _ in range(2):
        for view in ("plan", "problem"):
            assert (await callers.call(DISPATCHER, "GET", f"/waves/noon/{view}"))[0] == 200
    found = await reads(callers, subject=DISPATCHER)
    for view, times in (("plan", 1), ("problem", 2)):
        rows = [row for row in found if row[1] == view]
        wanted = [(DISPATCHER, view, f"order/{order.id}", ["address"]) for order in (one, two)] * times
        assert sorted(rows) == sorted(wanted)


async def test_the_words_in_a_couriers_upload_are_recorded(world: World) -> None:
    order, callers = Order(), Callers(DISPATCH, world.context)
    await world.released([order])
    courier = (await world.job(order))["courier"]
    for note in ("left at 3-302", "left at 3-303"):
        body = {"device": "phone", "uploads": [upload(1, "fail", order, reason="not-home", note=note)]}
        await world.call("courier", "POST", f"/couriers/{courier}/sync", json=body)
    await world.pool.execute('update sequenced_conflict set given = \'{"note": "left"}\'')
    assert len((await callers.call(ADMIN, "GET", "/uploads?flag=conflict"))[1]["uploads"]) == 1
    assert (await callers.call(ADMIN, "GET", f"/jobs/{order.job}"))[0] == 200
    assert await reads(callers, subject=ADMIN) == [
        (ADMIN, "uploads", f"upload/courier/{courier}/phone/s1/1", ["code", "note"]),
        (ADMIN, "job", f"order/{order.id}", ["note"]),
    ]


async def test_the_log_is_read_in_pages_by_administrators(orders: Orders) -> None:
    callers, id = Callers(ORDERS, orders.context), await orders.place()
    for _ in range(3):
        assert (await callers.call("staff.desk", "GET", f"/orders/{id}"))[0] == 200
    first = (await callers.call(ADMIN, "GET", "/access-log?limit=2"))[1]
    rest = (await callers.call(ADMIN, "GET", f"/access-log?limit=2&cursor={first['next']}"))[1]
    assert (len(first["accesses"]), len(rest["accesses"]), rest["next"]) == (2, 1, None)
    at = first["accesses"][1]["at"].replace("+00:00", "Z")
    assert len(await log(callers, from_=at)) == 2
    assert len(await log(callers, to=at)) == 1
    assert (await callers.call("staff.desk", "GET", "/access-log"))[0] == 403
    assert (await callers.call(ADMIN, "GET", "/access-log?from=yesterday"))[0] == 422
