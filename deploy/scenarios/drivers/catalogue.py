"""The operator writes the catalogue: places, goods and prices, then the market day that opens the waves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deploy.scenarios.actors import requests
from deploy.scenarios.actors.operators import Entry, Operator
from deploy.scenarios.drivers.world import World
from deploy.scenarios.model import Good, Place

STAGE = "catalogue"


async def write(world: World) -> None:
    """Write all entries, references first; return when orders has all of them."""
    entries = list(_entries(world))
    world.tally.plan(STAGE, len(entries))
    await Operator(world.api).write_catalogue(entries, lambda: world.tally.did(STAGE))


def _entries(world: World) -> Iterator[Entry]:
    """Yield the entries, kind by kind; each refers only to entries of earlier kinds."""
    day, scenario = world.day, world.day.scenario
    since = world.pace.at(0).isoformat()
    yield from (("stations", place.id, _place(place)) for place in scenario.stations)
    yield from (("villages", place.id, _place(place)) for place in scenario.villages)
    yield from (("communities", place.id, _place(place)) for place in scenario.communities)
    yield from (("sites", site.id, {**_place(site), "station": site.station}) for site in scenario.sites)
    yield from (
        ("items", good.id, {
            "name_zh": good.name_zh, "name_en": good.name_en, "unit": good.unit,
            "unit_g": good.load_g, "unit_ml": good.load_ml, "cold": good.cold,
        }) for good in scenario.goods
    )  # fmt: skip
    yield from (("households", home.id, {"village": home.village}) for home in day.households)
    yield from _pairings(world, since)
    yield from (
        (
            "prices",
            f"{good.id}-{channel}-{day.market_day}",
            {"item": good.id, "channel": channel, "price_fen": fen, "effective_from": since},
        )
        for good in scenario.goods
        for channel, fen in good.price.items()
    )
    yield from (("terminals", stall.terminal, {"site": stall.site, "stall": stall.terminal}) for stall in day.stalls)
    yield from (
        ("couriers", c.id, {"station": c.station, "capacity_g": c.capacity_g, "cold_ml": c.cold_ml})
        for c in day.couriers
    )
    yield from _points(world)
    yield "market-days", day.market_day, _market_day(world)


def _place(place: Place) -> dict[str, Any]:
    return {"name_zh": place.name_zh, "name_en": place.name_en, "lat": place.lat, "lon": place.lon}


def _pairings(world: World, since: str) -> Iterator[Entry]:
    for place in world.day.scenario.communities:
        if place.paired_with:
            body = {"village": place.paired_with, "community": place.id, "effective_from": since}
            yield "pairings", f"{place.paired_with}-{place.id}", body


def _points(world: World) -> Iterator[Entry]:
    close = world.pace.at(world.day.scenario.points_close).strftime("%H:%M")
    for place in world.day.scenario.communities:
        body = {"community": place.id, "name_zh": f"{place.name_zh}自提点", "closes_at": close}
        yield "points", point_of(place.id), body


def point_of(community: str) -> str:
    """Return the pickup point of a community."""
    return f"{community}-point"


def goods_of(good: Good, quantity: int) -> dict[str, Any]:
    """Return a quantity of a good in the form of requests."""
    return requests.goods(good.id, quantity, weighed=good.unit == "gram")


def _market_day(world: World) -> dict[str, Any]:
    day, scenario, at = world.day, world.day.scenario, world.pace.at
    return {
        "date": day.date.isoformat(),
        "opens_at": at(scenario.opens).isoformat(),
        "closes_at": at(scenario.closes).isoformat(),
        "sites": [{"site": site.id, "communities": site.communities} for site in scenario.sites],
        "waves": [
            {
                "id": world.wave(wave.id, station.id),
                "station": station.id,
                "slot_from": at(wave.slot[0]).isoformat(),
                "slot_until": at(wave.slot[1]).isoformat(),
                "cutoff": at(wave.cutoff).isoformat(),
                "capacity": wave.capacity,
            }
            for wave in scenario.waves
            for station in scenario.stations
        ],
    }
