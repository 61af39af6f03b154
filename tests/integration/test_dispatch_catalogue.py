"""A record of the catalogue that dispatch can't read stops its own entry only, until a later one of its key comes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from contracts.events.catalog import StationPut
from services.dispatch.app import SERVICE
from services.kit.consumer import dead_letters
from services.kit.transaction.message import Record
from tests.integration.dispatch_world import CATALOGUE, PLACES, Order, World, market_day
from tests.integration.dispatch_world import fresh_world as fresh_world

pytestmark = pytest.mark.stack
STATION = next(entry for entry in PLACES if isinstance(entry, StationPut))


def unreadable(world: World) -> Record:
    """The station as an older version wrote it when its position was no number."""
    return world.record(STATION)._replace(value=orjson.dumps(STATION.model_dump(mode="json") | {"lat": None}))


async def handle(world: World, *records: Record) -> None:
    (processor,) = (p for p in SERVICE.processors(world.context) if p.source.subscription.topic == StationPut.TOPIC)
    await processor.handle([record._replace(offset=n) for n, record in enumerate(records)])


async def parked(world: World) -> list[Any]:
    rows = await world.pool.fetch("select scope, error, why from parked order by id")
    return [tuple(row) for row in rows]


async def test_it_is_parked_for_its_own_entry_and_the_next_record_of_its_key_ends_it(world: World):
    """Before, the scope stayed blocked until an operator discarded the record, whatever was put afterwards."""
    others = [world.record(entry) for entry in CATALOGUE if entry != STATION]
    await handle(world, unreadable(world), *others, world.record(market_day()))
    assert await parked(world) == [(STATION.key, "lat: float_type", None)]
    order = Order()
    (schedule,) = (p for p in SERVICE.processors(world.context) if p.source.subscription.topic == "dispatch.command.v1")
    (person,) = (p for p in SERVICE.processors(world.context) if p.source.subscription.topic == "orders.recipient.v1")
    await person.handle([world.record(order.recipient)])
    await schedule.handle([world.record(order.schedule())])
    assert (await world.job(order))["state"] == "incomplete"
    await handle(world, world.record(STATION))
    assert await parked(world) == [(STATION.key, "lat: float_type", dead_letters.REPLACED)]
    assert await world.pool.fetchval("select count(*) from parked_scope") == 0
    assert (await world.job(order))["state"] == "planned"


async def test_the_last_record_of_a_batch_counts(world: World):
    good, bad = world.record(STATION), unreadable(world)
    await handle(world, bad, good, unreadable(world))
    assert [why for _, _, why in await parked(world)] == [dead_letters.REPLACED, None]
    assert await world.pool.fetchval("select count(*) from parked_scope") == 1
    await handle(world, world.record(STATION))
    assert [why for _, _, why in await parked(world)] == [dead_letters.REPLACED, dead_letters.REPLACED]
    assert await world.pool.fetchval("select count(*) from catalog where key = $1", STATION.key) == 1
