"""Waves on a real database: cut, planned outside any transaction, handed out, done."""

import asyncio
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from contracts.events.dispatch import (
    JobAssigned,
    JobPlanned,
    JobRefused,
    WaveCut,
    WaveDone,
    WavePlanned,
    WaveReleased,
)
from services.dispatch.commands import planning
from services.dispatch.planning.process import planner
from services.dispatch.repository.planning import read_problem
from tests.integration.dispatch_world import CATALOGUE, Order, World, hours, market_day, upload, wave
from tests.integration.dispatch_world import fresh_world as fresh_world

pytestmark = pytest.mark.stack


async def test_a_wave_from_its_opening_to_its_end(world: World):
    orders = [Order(n=n) for n in range(6)]
    await world.planned(orders)
    view = await world.call("operator", "GET", "/waves/noon")
    assert (view["state"], view["jobs"], view["plan"]["stops"]) == ("planned", {"planned": 6}, 6)
    view = await world.call("operator", "POST", "/waves/noon:release")
    assert (view["state"], view["jobs"]) == ("released", {"assigned": 6})
    for courier in ("van-1", "van-2"):
        route = await world.call("courier", "GET", f"/couriers/{courier}/route")
        uploads = [
            upload(seq, kind, next(o for o in orders if str(o.job) == stop["job"]), code="4711")
            for seq, (kind, stop) in enumerate(((k, s) for s in route["stops"] for k in ("load", "deliver")), 1)
        ]
        await world.call("courier", "POST", f"/couriers/{courier}/sync", json={"device": "d", "uploads": uploads})
    await world.run_planning()
    assert (await world.call("operator", "GET", "/waves/noon"))["state"] == "done"
    waves = [e for e in await world.published(WaveCut, WavePlanned, WaveReleased, WaveDone) if e.wave == "noon"]
    assert [type(event).__name__ for event in waves] == ["WaveCut", "WavePlanned", "WaveReleased", "WaveDone"]
    assert (waves[0].jobs, waves[1].stops, waves[1].on_time, waves[3].delivered) == (6, 6, 6, 6)
    assert waves[1].metres == view["plan"]["metres"] > 0


async def test_the_cutoff_comes_by_the_business_clock_once(world: World):
    await world.feed(*CATALOGUE, market_day())
    await world.sweep()
    assert "WaveCut" not in await world.names()
    world.clock.set(hours(2))
    await asyncio.gather(world.sweep(), world.sweep())
    assert [event.wave for event in await world.published(WaveCut)] == ["noon"]


async def test_a_wave_cut_by_hand_is_not_cut_again(world: World):
    await world.feed(*CATALOGUE, market_day())
    for _ in range(2):
        await world.call("operator", "POST", "/waves/noon:cut")
    world.clock.set(hours(3))
    await world.sweep()
    assert [event.wave for event in await world.published(WaveCut)] == ["noon"]


async def test_an_empty_wave_ends_without_fuss(world: World):
    await world.planned([])
    assert await world.names() == ["WaveOpened", "WaveOpened", "WaveCut", "WavePlanned", "WaveReleased", "WaveDone"]
    assert (await world.call("operator", "POST", "/waves/noon:release"))["state"] == "done"


async def test_routes_are_handed_out_only_once_planned_and_only_once(world: World):
    order = Order()
    await world.feed(*CATALOGUE, market_day(), order.recipient, order.schedule())
    assert (await world.call("operator", "POST", "/waves/noon:release", 409))["code"] == "not-planned"
    await world.call("operator", "POST", "/waves/noon:cut")
    assert (await world.call("operator", "POST", "/waves/noon:release", 409))["code"] == "not-planned"
    await world.run_planning()
    for _ in range(2):
        await world.call("operator", "POST", "/waves/noon:release")
    assert [(e.job, e.epoch) for e in await world.published(JobAssigned)] == [(order.job, 1)]
    assert (await world.call("operator", "POST", "/waves/none:cut", 404))["code"] == "not-found"
    assert (await world.call("buyer", "POST", "/waves/noon:cut", 403))["code"] == "forbidden"


async def test_a_job_cancelled_while_the_plan_stands_is_left_out(world: World):
    stays, goes = Order(), Order(n=1)
    await world.planned([stays, goes])
    await world.feed(goes.cancel)
    await world.call("operator", "POST", "/waves/noon:release")
    assert [event.job for event in await world.published(JobAssigned)] == [stays.job]


async def test_what_the_plan_cannot_serve_goes_with_the_next_wave_or_is_refused(world: World):
    fits, heavy = Order(), Order(n=1, grams=500_000)
    await world.planned([fits, heavy], wave("noon", 4, 2), wave("evening", 7, 6))
    moved = (await world.published(JobPlanned))[-1]
    assert (moved.job, moved.wave, moved.as_promised) == (heavy.job, "evening", True)
    await world.call("operator", "POST", "/waves/evening:cut")
    await world.run_planning()
    refused = await world.published(JobRefused)
    assert [(event.job, event.reason) for event in refused] == [
        (heavy.job, "every courier: carries 160000 g, it weighs 500700 g")
    ]
    assert [(e.stops, e.unserved) for e in await world.published(WavePlanned)] == [(1, 1), (0, 1)]


async def test_an_orphan_solve_is_taken_up_again_and_a_late_one_is_dropped(world: World):
    order = Order()
    await world.feed(*CATALOGUE, market_day(), order.recipient, order.schedule())
    await world.call("operator", "POST", "/waves/noon:cut")
    orphan = await world.context.store.claim_wave(world.clock.real(), planning.LEASE)
    assert orphan is not None
    assert not await planning.plan_next_wave(world.context)
    world.clock.advance(planning.LEASE + timedelta(seconds=1))
    assert await planning.plan_next_wave(world.context)
    read = await read_problem(world.context.store, orphan)
    await planning.apply_choice(world.context, orphan, planner.Choice(await planner.plan(read.problem, 5), ""))
    assert (read.excluded, len(await world.published(WavePlanned))) == ((), 1)


async def test_the_log_says_which_plan_was_taken_and_why(world: World):
    with capture_logs() as logged:
        await world.planned([Order(n=n) for n in range(3)])
    noon = next(line for line in logged if line["event"] == "planned" and line["wave"] == "noon")
    view = await world.call("operator", "GET", "/waves/noon")
    assert (noon["planner"], noon["applied"], noon["stops"]) == (view["plan"]["planner"], True, 3)
    assert noon["why"].startswith(("searched for 0.7 s", "better than the searched plan", "the solver did not answer"))


async def test_a_plan_shows_routes_and_draws_them_but_keeps_no_place(world: World):
    orders = [Order(n=n) for n in range(3)]
    await world.planned(orders)
    plan = await world.call("operator", "GET", "/waves/noon/plan")
    stops = [stop for route in plan["routes"] for trip in route["trips"] for stop in trip["stops"]]
    assert {stop["job"] for stop in stops} == {str(order.job) for order in orders}
    assert all(trip["load_g"] <= 160_000 for route in plan["routes"] for trip in route["trips"])
    kinds = sorted(feature["geometry"]["type"] for feature in plan["geojson"]["features"])
    assert kinds == ["LineString", "Point", "Point", "Point"]
    await world.feed(*(world.tombstone(order.id) for order in orders))
    plan = await world.call("operator", "GET", "/waves/noon/plan")
    assert plan["geojson"]["features"] == []
    await world.call("operator", "GET", "/waves/evening/plan", 404)


async def test_a_wave_can_be_planned_again_when_it_is_over_without_whom_was_erased(world: World):
    orders = [Order(n=n) for n in range(3)]
    await world.planned(orders)
    await world.call("operator", "POST", "/waves/noon:release")
    problem = await world.call("operator", "GET", "/waves/noon/problem")
    assert {order["id"] for order in problem["orders"]} == {str(order.job) for order in orders}
    again = await world.call("operator", "POST", "/plan?seconds=2", json=problem)
    assert sum(len(trip["stops"]) for route in again["routes"] for trip in route["trips"]) == 3
    await world.feed(world.tombstone(orders[0].id))
    problem = await world.call("operator", "GET", "/waves/noon/problem")
    assert {order["id"] for order in problem["orders"]} == {str(order.job) for order in orders[1:]}
    await world.call("operator", "GET", "/waves/nowhere/problem", 404)


async def test_only_couriers_on_shift_are_planned_with(world: World):
    await world.feed(*CATALOGUE, market_day())
    body = {"market_day": "sat", "from": hours(3).isoformat(), "until": hours(9).isoformat()}
    first = await world.call(
        "courier", "POST", "/couriers/van-2/shifts", 201, json=body, headers={"Idempotency-Key": "k"}
    )
    again = await world.call(
        "courier", "POST", "/couriers/van-2/shifts", 201, json=body, headers={"Idempotency-Key": "k"}
    )
    assert first == again
    other = body | {"until": hours(8).isoformat()}
    await world.call("courier", "POST", "/couriers/van-2/shifts", 409, json=other, headers={"Idempotency-Key": "k"})
    await world.call("courier", "POST", "/couriers/nobody/shifts", 503, json=body)
    nowhere = {"from": body["from"], "until": body["until"]}
    for scope in ({"wave": "no-wave"}, {"market_day": "no-day"}):
        unknown = await world.call("courier", "POST", "/couriers/van-2/shifts", 503, json=nowhere | scope)
        assert next(iter(scope.values())) in unknown["detail"]
    assert await world.pool.fetchval("select count(*) from shift") == 1
    await world.call("courier", "POST", "/couriers/van-2/shifts", 422, json=body | {"wave": "noon"})
    orders = [Order(n=n) for n in range(4)]
    await world.released(orders)
    assert {event.courier for event in await world.published(JobAssigned)} == {"van-2"}


async def test_waves_are_listed_by_page(world: World):
    await world.feed(*CATALOGUE, market_day())
    first = await world.call("operator", "GET", "/waves?limit=1")
    second = await world.call("operator", "GET", f"/waves?limit=1&cursor={first['next']}&market_day=sat&state=open")
    assert [page["waves"][0]["wave"] for page in (first, second)] == ["evening", "noon"]


async def test_anybody_at_the_desk_may_plan_without_keeping(world: World):
    problem = {
        "station": {"lat": 28.226, "lon": 112.962},
        "couriers": [{"id": "c", "capacity_g": 9000, "cold_ml": 0, "from_s": 0, "until_s": 9000}],
        "orders": [
            {
                "id": "o",
                "place": {"lat": 28.24, "lon": 112.99},
                "load_g": 1,
                "cold_ml": 0,
                "windows": [{"from_s": 0, "until_s": 9000}],
            }
        ],
    }
    plan = await world.call("operator", "POST", "/plan?seconds=3", json=problem)
    assert plan["routes"][0]["trips"][0]["stops"][0]["order"] == "o"
    twice = problem | {"orders": problem["orders"] * 2}
    fault = (await world.call("operator", "POST", "/plan", 422, json=twice))["errors"][0]
    assert fault == {"pointer": "#/orders/1/id", "message": "duplicate id 'o'; give each one a unique id"}
    await world.call("operator", "POST", "/plan", 422, json=problem | {"colour": "red"})
