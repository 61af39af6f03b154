"""Jobs on a real database: messages in any order, repeated, and with missing inputs."""

import asyncio
from collections import Counter
from datetime import timedelta
from itertools import permutations

import pytest

from contracts.events.catalog import MarketDayPut
from contracts.events.dispatch import JobAssigned, JobCancelled, JobPlanned, JobRefused, Quote, WaveOpened
from contracts.events.orders import RecipientPut
from tests.integration.dispatch_world import CATALOGUE, Order, World, hours, market_day, wave
from tests.integration.dispatch_world import fresh_world as fresh_world

pytestmark = pytest.mark.stack


BROUGHT = {
    "catalogue": (*CATALOGUE, market_day()),
    "recipient": (Order().recipient,),
    "schedule": (Order().schedule(),),
}


@pytest.mark.parametrize("arrival", list(permutations(("catalogue", "recipient", "schedule"))), ids="-".join)
async def test_a_job_is_planned_once_in_whatever_order_its_parts_arrive(world: World, arrival: tuple[str, ...]):
    order = Order()
    brought = BROUGHT | {"recipient": (order.recipient,), "schedule": (order.schedule(),)}
    for part in arrival:
        for event in brought[part]:
            await world.feed(event)
    assert [event.wave for event in await world.published(JobPlanned)] == ["noon"]
    assert (await world.job(order))["state"] == "planned"


async def test_an_incomplete_job_says_what_it_waits_for(world: World):
    order = Order()
    await world.feed(order.schedule())
    assert (await world.job(order))["waits"] == ["item/fruit", "item/honey", "market-day/sat", "recipient"]
    await world.feed(market_day(), order.recipient)
    assert (await world.job(order))["waits"] == ["item/fruit", "item/honey", "site/simaochong"]
    assert await world.published(JobPlanned, JobRefused) == []


async def test_a_schedule_and_its_recipient_that_cross_never_miss_each_other(world: World):
    await world.feed(*CATALOGUE, market_day(wave("noon", 4, 2, 500)))
    orders = [Order(n=n) for n in range(60)]
    await asyncio.gather(
        *(world.feed(*(o.schedule() for o in orders[n::6])) for n in range(6)),
        *(world.feed(*(o.recipient for o in orders[n::5])) for n in range(5)),
    )
    planned = Counter(event.order for event in await world.published(JobPlanned))
    assert planned == Counter(order.id for order in orders)


async def test_a_catalogue_that_comes_while_jobs_are_asked_for_misses_none(world: World):
    orders = [Order(n=n) for n in range(40)]
    await world.feed(*(o.recipient for o in orders))
    entries = (*CATALOGUE, market_day())
    await asyncio.gather(
        *(world.feed(*(o.schedule() for o in orders[n::8])) for n in range(8)),
        *(world.feed(entry) for entry in entries),
    )
    assert len(await world.published(JobPlanned)) == 40


async def test_a_wave_is_never_overfull_and_the_later_slot_is_told(world: World):
    await world.feed(*CATALOGUE, market_day(wave("noon", 4, 2, 7), wave("evening", 7, 6, 9)))
    quote = Quote(**await world.call("buyer", "GET", "/promises?community=simaochong&market_day=sat"))
    assert (quote.wave, quote.until) == ("noon", hours(2))
    orders = [Order(n=n) for n in range(20)]
    await world.feed(*(o.recipient for o in orders))
    asks = [o.schedule(quote) for o in orders]
    await asyncio.gather(*(world.feed(*asks[n::4]) for n in range(4)))
    planned = Counter((event.wave, event.as_promised) for event in await world.published(JobPlanned))
    assert planned == {("noon", True): 7, ("evening", False): 9}
    refused = await world.published(JobRefused)
    assert [event.reason for event in refused] == ["every wave that still takes jobs is full"] * 4


async def test_a_promise_names_the_next_slot_that_can_be_kept(world: World):
    await world.call("buyer", "GET", "/promises?community=simaochong&market_day=sat", 503)
    await world.feed(*CATALOGUE, market_day(wave("noon", 4, 2, 1), wave("evening", 7, 6, 1)))
    path = "/promises?community=simaochong"
    assert (await world.call("buyer", "GET", path))["wave"] == "noon"
    assert (await world.call("buyer", "GET", f"{path}&at=2026-10-24T11:00:00%2B08:00"))["wave"] == "evening"
    first, second, third = Order(), Order(), Order()
    evening = await world.call("buyer", "GET", f"{path}&at=2026-10-24T11:00:00%2B08:00")
    await world.feed(first.recipient, first.schedule(Quote(**evening | {"mac": "0" * 64})))
    placed = await world.job(first)
    assert (placed["wave"], placed["as_promised"]) == ("noon", False), "nobody believes a forged quote"
    assert (await world.call("buyer", "GET", path))["wave"] == "evening"
    await world.feed(second.recipient, second.schedule(), third.recipient, third.schedule())
    problem = await world.call("buyer", "GET", path, 404)
    assert (problem["code"], problem["detail"]) == ("no-slot", "every wave that still takes jobs is full")
    assert (await world.call("buyer", "GET", "/promises?community=qifeng", 404))["code"] == "no-slot"


async def test_cancel_crosses_everything_and_is_always_answered(world: World):
    early, planned, out = Order(), Order(n=1), Order(n=2)
    await world.feed(early.cancel, early.schedule(), early.recipient)
    await world.released([planned, out])
    assert [type(e).__name__ for e in await world.published() if getattr(e, "order", "") == early.id] == [
        "JobCancelled"
    ] * 2
    late = Order(n=3)
    await world.feed(late.recipient, late.schedule(), late.cancel, late.cancel, out.cancel)
    answers = [(type(e).__name__, e.order) for e in (await world.published())[-4:]]
    assert answers == [
        ("JobPlanned", late.id),
        ("JobCancelled", late.id),
        ("JobCancelled", late.id),
        ("CancelRefused", out.id),
    ]


async def test_a_cancelled_job_gives_its_place_back(world: World):
    first, second = Order(), Order(n=1)
    await world.feed(*CATALOGUE, market_day(wave("noon", 4, 2, 1)), first.recipient, second.recipient)
    await world.feed(first.schedule(), first.cancel, second.schedule())
    assert [event.order for event in await world.published(JobPlanned)] == [first.id, second.id]


async def test_a_second_attempt_of_an_order_is_a_job_of_its_own(world: World):
    first = Order()
    again = Order(first.id)
    await world.feed(*CATALOGUE, market_day(), first.recipient, first.schedule(), first.cancel, again.schedule())
    assert [event.job for event in await world.published(JobPlanned)] == [first.job, again.job]
    assert [event.job for event in await world.published(JobCancelled)] == [first.job]


async def test_repeats_change_nothing(world: World):
    order = Order()
    records = [world.record(event) for event in (*CATALOGUE, market_day(), order.recipient, order.schedule())]
    await world.feed(*records, *records)
    await world.feed(*records)
    assert len(await world.published(JobPlanned)) == 1
    assert len(await world.published(WaveOpened)) == 2


async def test_where_nothing_can_be_brought_the_job_is_refused_with_the_reason(world: World):
    nowhere, erased, elsewhere = Order(), Order(n=1), Order(n=2)
    await world.feed(*CATALOGUE, market_day(), nowhere.recipient.model_copy(update={"lat": None, "lon": None}))
    await world.feed(nowhere.schedule(), erased.recipient, world.tombstone(erased.id), erased.schedule())
    await world.feed(elsewhere.recipient, elsewhere.schedule().model_copy(update={"community": "qifeng"}))
    assert [event.reason for event in await world.published(JobRefused)] == [
        "the address has no position",
        "the recipient was erased",
        "no site of sat serves qifeng",
    ]


async def test_a_person_stands_in_one_table_and_nowhere_once_erased(world: World):
    order = Order(n=7)
    await world.released([order])
    person: RecipientPut = order.recipient
    assert await world.tables_with(person.name) == await world.tables_with(person.phone) == {"recipient"}
    await world.feed(world.tombstone(order.id))
    for planted in (person.name, person.phone, person.address, person.code, str(person.lat)):
        assert await world.tables_with(planted) == set()


async def test_a_batch_of_any_size_takes_the_same_number_of_statements(world: World):
    await world.feed(*CATALOGUE, market_day(wave("noon", 4, 2, 2000)))
    counts = {}
    for size in (5, 500):
        orders = [Order(n=n) for n in range(size)]
        await world.feed(*(o.recipient for o in orders))
        before = await _calls(world)
        await world.feed(*(o.schedule() for o in orders))
        counts[size] = await _calls(world) - before
    assert 5 < counts[5] == counts[500] < 30
    assert len(await world.published(JobPlanned)) == 505


async def _calls(world: World) -> int:
    """Return the number of statements that this world's connections have run so far."""
    seen = world.statements
    async with world.pool.acquire() as conn:
        inner = conn._con
        if not inner._query_loggers:
            inner.add_query_logger(lambda _: seen.append(1))
    return len(seen)


async def test_wave_ids_belong_to_one_market_day(world: World):
    await world.feed(*CATALOGUE, market_day())
    other: MarketDayPut = market_day().model_copy(update={"id": "sun"})
    processor = world._processors[other.TOPIC]
    await processor.handle([world.record(other)])
    assert "wave noon belongs to market day sat" in await world.pool.fetchval("select error from parked")
    assert len(await world.published(WaveOpened)) == 2


async def test_new_terms_move_the_cutoff_of_an_open_wave(world: World):
    await world.feed(*CATALOGUE, market_day(wave("noon", 4, 2)), market_day(wave("noon", 4, 3)))
    world.clock.advance(timedelta(hours=2.5))
    await world.sweep()
    assert "WaveCut" not in await world.names()
    world.clock.advance(timedelta(hours=1))
    await world.sweep()
    assert "WaveCut" in await world.names()
    assert await world.published(JobAssigned) == []
