"""A wave always gets a plan, or says what prevents it: rows that no plan can express, as an older version left them."""

import json
from datetime import timedelta
from typing import Any

import pytest

from contracts.events.catalog import CatalogEvent, CourierPut, ItemPut, StationPut
from contracts.events.dispatch import JobPlanned, JobRefused, WavePlanned
from services.dispatch.commands import planning
from services.dispatch.planning.problem import Place
from services.dispatch.planning.process import planner
from services.dispatch.repository import gauges
from services.dispatch.repository import planning as reads
from tests.integration.dispatch_world import CATALOGUE, PLACES, Order, World, market_day, wave
from tests.integration.dispatch_world import fresh_world as fresh_world

pytestmark = pytest.mark.stack


async def spoil(world: World, entry: CatalogEvent, **fields: Any) -> None:
    """Writes fields of a catalogue entry as no version of the catalogue would take them today."""
    query = "update catalog set body = body || $2::jsonb where key = $1"
    assert await world.pool.execute(query, entry.key, json.dumps(fields)) == "UPDATE 1"


async def cut(world: World, *orders: Order) -> None:
    """The catalogue and orders, the noon wave cut but not planned."""
    await world.feed(*CATALOGUE, market_day(), *(o.recipient for o in orders), *(o.schedule() for o in orders))
    await world.call("operator", "POST", "/waves/noon:cut")


async def noon(world: World) -> dict[str, Any]:
    view: dict[str, Any] = await world.call("operator", "GET", "/waves/noon")
    return view


async def ready(world: World) -> str:
    finding = await gauges.check_waves(world.pool)
    assert finding.ok
    return str(finding.detail)


@pytest.mark.parametrize(
    ("position", "said"),
    [
        ({"lat": 112.962, "lon": 28.226}, "lat 112.962, lon 28.226"),
        ({"lat": None, "lon": 112.962}, "lat None, lon 112.962"),
        ({"lat": "north"}, "lat north"),
    ],
    ids=["swapped", "not a number", "a word"],
)
async def test_a_station_without_a_usable_position_blocks_its_wave_until_it_is_corrected(
    world: World, position: dict[str, Any], said: str
):
    orders = [Order(n=n) for n in range(3)]
    await cut(world, *orders)
    station = next(entry for entry in PLACES if isinstance(entry, StationPut))
    await spoil(world, station, **position)
    await world.run_planning()
    view = await noon(world)
    assert (view["state"], view["jobs"]) == ("cut", {"planned": 3})
    assert said in view["blocked"]
    assert "put /v1/catalog/stations/guandu" in view["blocked"]
    listed = await world.call("operator", "GET", "/waves?state=cut")
    assert [w["blocked"] for w in listed["waves"]] == [view["blocked"]]
    assert await ready(world) == f"wave noon is blocked: {view['blocked']}"
    refused = await world.call("operator", "POST", "/waves/noon:release", 409)
    assert (refused["code"], view["blocked"] in refused["detail"]) == ("not-planned", True)
    assert (await world.call("operator", "GET", "/waves/noon/problem", 409))["code"] == "blocked"
    await gauges.update_blocked(world.pool)
    assert gauges.BLOCKED.collect()[0].samples[0].value == 1

    await world.feed(station)
    assert not await planning.plan_next_wave(world.context)
    world.clock.advance(planning.RETRY_BLOCKED)
    await world.run_planning()
    view = await noon(world)
    assert (view["state"], view["blocked"], view["plan"]["stops"]) == ("planned", None, 3)
    assert await ready(world) == "no wave is blocked"


async def test_other_waves_are_planned_while_one_is_blocked_and_an_emptied_one_passes(world: World):
    order = Order()
    await cut(world, order)
    await spoil(world, PLACES[1], lat=112.9)
    await world.pool.execute("update wave set station = 'other' where id = 'evening'")
    await world.call("operator", "POST", "/waves/evening:cut")
    await world.run_planning()
    assert [event.wave for event in await world.published(WavePlanned)] == ["evening"]
    await world.feed(order.cancel)
    world.clock.advance(planning.RETRY_BLOCKED)
    await world.run_planning()
    assert (await noon(world))["state"] == "done"


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("update job set load_g = 2000000000000 where id = $1", "no vehicle can carry 2000000000000 g"),
        ("update job set cold_ml = 2000000000000 where id = $1", "and 2000000000000 ml in the cold box"),
        (
            'update recipient set lat = 112.9 where "order" = (select "order" from job where id = $1)',
            "not on the globe",
        ),
        ('update recipient set lon = \'NaN\' where "order" = (select "order" from job where id = $1)', "the globe"),
        ("update job set slot_until = slot_from - interval '1 hour' where id = $1", "ends before it begins"),
    ],
    ids=["too heavy", "too large", "off the globe", "nowhere", "slot upside down"],
)
async def test_an_order_that_no_plan_can_express_is_set_aside_and_the_rest_is_planned(
    world: World, statement: str, reason: str
):
    good, bad = [Order(n=n) for n in range(3)], Order(n=4)
    await world.feed(*CATALOGUE, market_day(wave("noon", 4, 2)))
    await world.feed(*(o.recipient for o in (*good, bad)), *(o.schedule() for o in (*good, bad)))
    await world.call("operator", "POST", "/waves/noon:cut")
    await world.pool.execute(statement, bad.job)
    await world.run_planning()
    view = await noon(world)
    assert (view["state"], view["plan"]["stops"], view["plan"]["unserved"]) == ("planned", 3, 1)
    refused = await world.published(JobRefused)
    assert [event.job for event in refused] == [bad.job]
    assert reason in refused[0].reason


async def test_an_absurdly_heavy_item_is_refused_at_once_and_blocks_nothing(world: World):
    anvil = ItemPut(id="honey", name_zh="铁砧", unit="piece", unit_g=2 * 10**12)
    stays, heavy = Order(), Order(n=1)
    await world.feed(*CATALOGUE, market_day(), stays.recipient, stays.schedule())
    await world.feed(anvil, heavy.recipient, heavy.schedule())
    assert [event.job for event in await world.published(JobRefused)] == [heavy.job]
    await world.call("operator", "POST", "/waves/noon:cut")
    await world.run_planning()
    assert (await noon(world))["plan"]["stops"] == 1


async def test_couriers_of_any_capacity_carry_what_a_plan_can_say(world: World):
    orders = [Order(n=n) for n in range(3)]
    await cut(world, *orders)
    vans = [entry for entry in CATALOGUE if isinstance(entry, CourierPut)]
    await spoil(world, vans[0], capacity_g=10**30, cold_ml=10**30)
    await spoil(world, vans[1], capacity_g=-5, cold_ml="much")
    await world.run_planning()
    plan = await world.call("operator", "GET", "/waves/noon/plan")
    assert [route["courier"] for route in plan["routes"]] == ["van-1"]


async def test_an_entry_that_can_not_be_read_is_waited_for_and_stops_no_other(world: World):
    await world.feed(*CATALOGUE, market_day())
    await spoil(world, next(entry for entry in CATALOGUE if isinstance(entry, ItemPut) and entry.cold), unit_g="heavy")
    order = Order()
    await world.feed(order.recipient, order.schedule())
    assert (await world.job(order))["waits"] == ["item/fruit"]
    await world.call("buyer", "GET", "/promises?community=simaochong&market_day=sat")
    await world.feed(*CATALOGUE)
    assert [event.job for event in await world.published(JobPlanned)] == [order.job]


async def test_a_late_order_waits_for_the_station_that_can_not_be_read_any_more_and_is_then_answered(world: World):
    early, late = Order(), Order(n=1)
    await world.feed(*CATALOGUE, market_day(wave("noon", 4, 2)), early.recipient, early.schedule())
    await world.call("operator", "POST", "/waves/noon:cut")
    await world.run_planning()
    await spoil(world, PLACES[1], lat=112.9)
    await world.feed(late.recipient, late.schedule())
    await world.run_planning()
    assert (await world.job(late))["waits"] == [PLACES[1].key]
    await world.feed(*CATALOGUE)
    await world.run_planning()
    assert late.job in [event.job for event in await world.published(JobPlanned)]


async def test_what_fails_unforeseen_blocks_the_wave_with_a_word(world: World, monkeypatch: pytest.MonkeyPatch):
    async def broken(*_: Any) -> None:
        raise ZeroDivisionError("a seeded bug")

    await cut(world, Order())
    with monkeypatch.context() as seeded:
        seeded.setattr(planner, "search", broken)
        await world.run_planning()
    assert "ZeroDivisionError" in (await noon(world))["blocked"]
    world.clock.advance(timedelta(seconds=2))
    await world.run_planning()
    assert (await noon(world))["state"] == "planned"


async def test_seeded_stations_taken_as_they_come(world: World, monkeypatch: pytest.MonkeyPatch):
    """The bug as it was: whatever the station says goes to the planner. The wave then can't say which entry it is."""

    def taken_as_it_comes(_id: str, entry: dict[str, Any]) -> Place:
        return Place(entry["lat"], entry["lon"])

    await cut(world, Order())
    await spoil(world, PLACES[1], lat=112.9)
    monkeypatch.setattr(reads, "station_of", taken_as_it_comes)
    await world.run_planning()
    assert "stations/guandu" not in (await noon(world))["blocked"]
