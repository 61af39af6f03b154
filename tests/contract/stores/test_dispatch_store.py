"""Contract of dispatch's store, in memory and on PostgreSQL."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from contracts.events.catalog import CatalogEvent, CourierPut, ItemPut, MarketDayPut, SitePut, StationPut
from contracts.events.dispatch import Quote
from contracts.events.orders import GoodsLine
from services.dispatch.domain.catalog import catalog_key
from services.dispatch.domain.courier import Attempt, Evidence, Shift
from services.dispatch.domain.job.job import Job, JobState, Slot
from services.dispatch.domain.recipient import Recipient
from services.dispatch.domain.wave import Wave, WaveState, plan_key
from services.dispatch.planning.plan import Plan, Route, Stop, Trip, Unserved
from services.dispatch.repository.store import Changes, CrewMember, PlanRow, RouteJob, StoredWave, WaveJob, WaveStore
from tests.contract.stores.databases import StoreDatabase

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LEASE = timedelta(seconds=20)
WAVE = Wave("w1", "d1", "st1", NOON, NOON + HOUR, NOON - HOUR, 6)
LATER = replace(WAVE, id="w2", slot_from=NOON + HOUR, slot_until=NOON + 2 * HOUR, cutoff=NOON)
OTHER_DAY = replace(WAVE, id="w3", market_day="d2", cutoff=NOON - 2 * HOUR)
CATALOGUE: tuple[CatalogEvent, ...] = (
    ItemPut(id="egg", name_zh="鸡蛋", unit="piece", unit_g=60),
    SitePut(id="s1", name_zh="场", lat=30.0, lon=120.0, station="st1"),
    StationPut(id="st1", name_zh="站", lat=30.0, lon=120.0),
    MarketDayPut(id="d1", date=date(2030, 5, 1), opens_at=NOON, closes_at=NOON + HOUR, sites=[], waves=[]),
    *(CourierPut(id=f"k{n}", station="st1", capacity_g=1000 * n, cold_ml=n) for n in (1, 2, 3)),
    CourierPut(id="k4", station="st2", capacity_g=1, cold_ml=1),
)
PLAN = Plan((Route("k1", (Trip(1, 9, (Stop("a", 5),)),)),), (Unserved("b", "no room"),), 70, "greedy", 3)


def uid(n: int) -> UUID:
    return UUID(int=n)


def in_wave(wave: Wave) -> Slot:
    return Slot(wave.id, wave.slot_from, wave.slot_until)


def job(n: int, state: JobState = JobState.PLANNED, wave: Wave | None = WAVE, **more: Any) -> Job:
    """Return a job of the order 100 + n, in a wave or incomplete."""
    lines = (GoodsLine(line=1, item="egg", quantity=n),)
    known: dict[str, Any] = {"market_day": "d1", "community": "c1", "lines": lines, "load_g": 60 * n, "cold_ml": n}
    slot = in_wave(wave) if wave else None
    return Job(uid(n), uid(100 + n), "d1@s1", uid(200 + n), state, **known | {"slot": slot} | more)


def waiting(n: int, *waits: str, **more: Any) -> Job:
    return job(n, JobState.INCOMPLETE, None, waits=waits, **more)


def person(n: int, **more: Any) -> Recipient:
    known: dict[str, Any] = {"name": "李桂兰", "phone": "138", "address": "2栋", "lat": 30.0 + n, "lon": 120.0}
    return Recipient(uid(100 + n), **known | {"code": "4711"} | more)


def attempt(n: int) -> Attempt:
    return Attempt(uid(1), n, "k1", 1, "failed", "not-home", NOON, False, NOON)


def evidence(seq: int) -> Evidence:
    return Evidence("k1", "dev", "a", seq, uid(1), 1, "load", False, "applied", "", "a note", NOON, True, NOON)


def shift(n: int, courier: str = "k1", **more: Any) -> Shift:
    known: dict[str, Any] = {"wave": "w1", "market_day": None, "from_at": NOON, "until_at": NOON + HOUR}
    return Shift(uid(n), courier, **known | more)


@pytest.fixture
async def database(open_database: Callable[[str], Awaitable[StoreDatabase]]) -> StoreDatabase:
    return await open_database("dispatch")


async def save(database: StoreDatabase, **changes: Any) -> None:
    """Save changes in a transaction of their own; jobs come with their recipients."""
    async with database.transaction() as store:
        jobs = changes.get("jobs", ())
        await store.save(Changes(**{"recipients": [person(job.id.int) for job in jobs]} | changes))


async def test_every_table_is_read_back(database: StoreDatabase):
    quote = Quote(community="c1", wave="w1", slot_from=NOON, slot_until=NOON, until=NOON, mac="0" * 64)
    whole = job(1, JobState.LOADED, quote=quote, courier="k1", epoch=2, trip=1, stop=3, eta=NOON, reason="late")
    late = waiting(2, "item/egg", "recipient")
    cut = replace(WAVE, state=WaveState.PLANNED, version=4)
    await save(
        database,
        entries=CATALOGUE,
        waves=[cut],
        jobs=[whole, late],
        plans=[PlanRow("w1", 4, PLAN, NOON), PlanRow("w1", 3, replace(PLAN, metres=1), NOON)],
        attempts=[attempt(1), attempt(2)],
        evidence=[evidence(1)],
    )
    store: WaveStore = database.reader
    assert await store.read_wave("w1") == StoredWave(cut, PLAN, None)
    assert await store.read_recipients([uid(101), uid(102)]) == [person(1), person(2)]
    assert await store.read_route("k1") == [RouteJob(whole, person(1), False, None)]
    assert await store.read_entry("courier/k2") == CATALOGUE[5].model_dump(mode="json")
    async with database.transaction() as store:
        assert await store.lock_jobs([uid(2), uid(1)]) == [whole, late]
        found = await store.read_catalog(["market-day/d1", "item/egg", "item/none"])
        assert found.entries == {entry.key: entry for entry in CATALOGUE if not isinstance(entry, CourierPut)}
        assert (await store.read_catalog([])).entries.keys() == {"site/s1", "station/st1"}


async def test_what_does_not_exist_is_left_out(database: StoreDatabase):
    await save(database, waves=[WAVE])
    async with database.transaction() as store:
        assert await store.lock_jobs([uid(1)]) == await store.lock_jobs_of_orders([uid(1)]) == []
        assert await store.lock_waves(["none"], ["none"]) == await store.lock_jobs_of_waves(["none"]) == []
        assert await store.lock_orders([]) == await store.read_recipients([uid(1)]) == []
        assert await store.read_wave("w1") == StoredWave(WAVE, None, None)
        assert await store.read_wave("none") is await store.read_entry("item/none") is None
        assert dict(await store.count_jobs(["w1", "none"])) == {}
        assert await store.read_crew(WAVE, ["k1"]) == await store.read_route("k1") == []


async def test_a_transaction_sees_its_own_writes_and_others_see_them_after_the_commit(database: StoreDatabase):
    async with database.transaction() as store:
        await store.save(Changes(waves=[WAVE], jobs=[job(1)], recipients=[person(1)]))
        assert [wave.id for wave in await store.lock_waves([], ["d1"])] == ["w1"]
        assert dict(await store.count_jobs(["w1"])) == {"w1": 1}
        assert await database.reader.read_wave("w1") is None
    assert await database.reader.read_wave("w1") is not None


async def test_a_rollback_leaves_nothing(database: StoreDatabase):
    with pytest.raises(asyncpg.UniqueViolationError):
        await save(database, recipients=[person(1)], waves=[WAVE], entries=CATALOGUE, attempts=[attempt(1), attempt(1)])
    assert await database.reader.read_recipients([uid(101)]) == []
    assert await database.reader.read_wave("w1") is await database.reader.read_entry("item/egg") is None


async def test_a_row_that_exists_is_replaced(database: StoreDatabase):
    await save(database, entries=CATALOGUE, waves=[WAVE], jobs=[job(1), waiting(2, "recipient")])
    moved = job(1, JobState.ASSIGNED, LATER, courier="k2", epoch=1, eta=NOON, attempts=1, wrong_codes=2)
    placed, cut, egg = job(2), replace(WAVE, state=WaveState.CUT, version=2, capacity=1), CATALOGUE[0]
    gone = Recipient(uid(101), erased=True)
    heavy = egg.model_copy(update={"unit_g": 70})
    await save(database, entries=[heavy], waves=[cut], jobs=[moved, placed], recipients=[gone])
    async with database.transaction() as store:
        assert await store.lock_jobs([uid(1), uid(2)]) == [moved, placed]
        assert await store.lock_waves(["w1"], []) == [cut]
        assert await store.lock_orders([uid(101)]) == [gone]
        assert (await store.read_catalog([egg.key])).entries[egg.key] == heavy


@pytest.mark.parametrize(
    "again",
    [
        {"plans": [PlanRow("w1", 2, PLAN, NOON)]},
        {"attempts": [attempt(1)]},
        {"evidence": [evidence(1)]},
    ],
    ids=["plan", "attempt", "evidence"],
)
async def test_what_is_never_changed_is_written_once(database: StoreDatabase, again: dict[str, Any]):
    await save(database, **again)
    with pytest.raises(asyncpg.UniqueViolationError):
        await save(database, **again)


async def test_orders_are_locked_in_order_and_inserted_where_they_are_new(database: StoreDatabase):
    await save(database, recipients=[person(2)])
    async with database.transaction() as behind:
        async with database.transaction() as store:
            found = await store.lock_orders([uid(103), uid(102), uid(101)])
            assert found == [Recipient(uid(101)), person(2), Recipient(uid(103))]
            waits = await database.waits(behind.lock_orders([uid(101)]))
            await store.save(Changes(recipients=[person(1)]))
        assert await waits == [person(1)]


async def test_a_change_of_the_catalogue_excludes_its_readers_who_exclude_no_other_reader(database: StoreDatabase):
    async with database.transaction() as writer:
        async with database.transaction() as one, database.transaction() as other:
            await one.lock_catalog(exclusive=False)
            await other.lock_catalog(exclusive=False)
            waits = await database.waits(writer.lock_catalog(exclusive=True))
        await waits
    async with database.transaction() as reader:
        async with database.transaction() as writer:
            await writer.lock_catalog(exclusive=True)
            waits = await database.waits(reader.lock_catalog(exclusive=False))
        await waits


async def test_waves_are_locked_by_id_and_by_market_day_in_order(database: StoreDatabase):
    await save(database, waves=[LATER, WAVE, OTHER_DAY], jobs=[job(1), job(2), job(3, wave=OTHER_DAY)])
    async with database.transaction() as behind:
        async with database.transaction() as store:
            assert await store.lock_waves(["w3"], ["d1"]) == [WAVE, LATER, OTHER_DAY]
            assert dict(await store.count_jobs(["w1", "w2", "w3"])) == {"w1": 2, "w3": 1}
            waits = await database.waits(behind.lock_waves(["w2"], []))
            await store.save(Changes(waves=[replace(LATER, version=2)]))
        assert await waits == [replace(LATER, version=2)]


async def test_jobs_are_locked_by_order_and_by_wave_in_order(database: StoreDatabase):
    late, lacks = waiting(4, plan_key("w1")), waiting(5, "item/egg")
    refused = job(6, JobState.REFUSED, None)
    await save(database, waves=[WAVE], jobs=[lacks, late, job(3, wave=LATER), job(2), refused])
    async with database.transaction() as store:
        assert await store.lock_jobs_of_waves(["w1"]) == [job(2), late]
        assert await store.lock_jobs_of_orders([uid(105), uid(102)]) == [job(2), lacks]


async def test_a_job_that_has_left_its_wave_meanwhile_is_not_among_its_jobs(database: StoreDatabase):
    await save(database, waves=[WAVE, LATER], jobs=[job(1), job(2)])
    async with database.transaction() as behind:
        async with database.transaction() as store:
            await store.lock_jobs([uid(1)])
            waits = await database.waits(behind.lock_jobs_of_waves(["w1"]))
            await store.save(Changes(jobs=[job(1, wave=LATER)]))
        assert await waits == [job(2)]


async def test_incomplete_jobs_are_found_by_what_they_wait_for(database: StoreDatabase):
    jobs = [waiting(1, "item/egg", "recipient"), waiting(2, "item/tofu", market_day="d2"), waiting(3, "recipient")]
    await save(database, jobs=[*jobs, job(4, waits=("item/egg",), market_day="d3")])
    async with database.transaction() as store:
        assert sorted(await store.orders_waiting_for(["item/egg", "item/tofu"])) == [uid(101), uid(102)]
        every = [uid(100 + n) for n in range(1, 5)]
        assert sorted(await store.incomplete_market_days(every)) == ["d1", "d2"]
        assert await store.orders_waiting_for(["item/none"]) == await store.incomplete_market_days([]) == []


async def test_a_shift_is_recorded_once(database: StoreDatabase):
    async with database.transaction() as store:
        assert await store.record_shift(shift(1)) == await store.record_shift(shift(1)) == shift(1)
        assert await store.record_shift(shift(1, "k2")) == shift(1)
    with pytest.raises(asyncpg.CheckViolationError):
        async with database.transaction() as store:
            await store.record_shift(shift(2, wave=None))


async def test_cut_waves_are_claimed_in_order_of_their_cutoff_each_for_its_lease(database: StoreDatabase):
    one, other = replace(WAVE, state=WaveState.CUT), replace(OTHER_DAY, state=WaveState.CUT)
    await save(database, waves=[one, other, LATER])
    store: WaveStore = database.reader
    assert [await store.claim_wave(NOON, LEASE) for _ in range(3)] == [other, one, None]
    assert await store.claim_wave(NOON + LEASE, LEASE) == other


async def test_a_wave_that_is_locked_is_passed_over(database: StoreDatabase):
    one, other = replace(WAVE, state=WaveState.CUT), replace(OTHER_DAY, state=WaveState.CUT)
    await save(database, waves=[one, other])
    async with database.transaction() as store:
        await store.lock_waves(["w3"], [])
        assert await database.reader.claim_wave(NOON, LEASE) == one


async def test_a_blocked_wave_waits_for_its_time_and_any_change_unblocks_it(database: StoreDatabase):
    cut = replace(WAVE, state=WaveState.CUT)
    await save(database, waves=[cut, LATER])
    store: WaveStore = database.reader
    await store.block_wave(replace(cut, version=9), "an older version", NOON + HOUR)
    await store.block_wave(LATER, "it is open", NOON + HOUR)
    assert await store.read_wave("w1") == StoredWave(cut, None, None)
    assert await store.read_wave("w2") == StoredWave(LATER, None, None)
    await store.block_wave(cut, "no station", NOON + HOUR)
    assert await store.read_wave("w1") == StoredWave(cut, None, "no station")
    assert await store.claim_wave(NOON, LEASE) is None
    assert await store.claim_wave(NOON + HOUR, LEASE) == cut
    await save(database, waves=[cut])
    assert await store.read_wave("w1") == StoredWave(cut, None, None)


async def test_the_earliest_wave_with_a_plan_is_asked_for_its_late_jobs(database: StoreDatabase):
    jobs = [waiting(1, plan_key("w1")), waiting(2, plan_key("w2")), waiting(3, plan_key("none"))]
    await save(database, waves=[replace(WAVE, state=WaveState.CUT), LATER], jobs=jobs)
    assert await database.reader.wave_with_late_jobs() is None
    await save(database, waves=[replace(LATER, state=WaveState.RELEASED)])
    assert await database.reader.wave_with_late_jobs() == "w2"
    await save(database, waves=[replace(WAVE, state=WaveState.PLANNED)])
    assert await database.reader.wave_with_late_jobs() == "w1"


async def test_a_released_wave_has_ended_when_its_jobs_have(database: StoreDatabase):
    waves = [replace(wave, state=WaveState.RELEASED) for wave in (LATER, WAVE, OTHER_DAY)]
    await save(database, waves=waves, jobs=[job(1, JobState.DELIVERED), job(2, JobState.LOADED, LATER)])
    assert list(await database.reader.ended_waves()) == ["w1", "w3"]
    await save(database, jobs=[job(2, JobState.RETURNED, LATER)])
    assert list(await database.reader.ended_waves()) == ["w1", "w2", "w3"]


async def test_the_jobs_of_a_problem_have_their_state_and_late_ones_the_slot_of_the_wave(database: StoreDatabase):
    earlier = Slot("w1", NOON - HOUR, NOON)  # the wave's terms have changed since
    jobs = [waiting(4, plan_key("w1")), job(2, JobState.LOADED, slot=earlier), job(1), job(3, JobState.CANCELLED)]
    await save(database, waves=[WAVE], jobs=jobs)
    await save(database, recipients=[Recipient(uid(101), erased=True)])
    store: WaveStore = database.reader
    erased = WaveJob(uid(1), 60, 1, NOON, NOON + HOUR, None, None, erased=True, late=False)
    loaded = WaveJob(uid(2), 120, 2, NOON - HOUR, NOON, 32.0, 120.0, erased=False, late=False)
    late = WaveJob(uid(4), 240, 4, NOON, NOON + HOUR, 34.0, 120.0, erased=False, late=True)
    both = [JobState.PLANNED, JobState.LOADED]
    assert await store.read_wave_jobs(WAVE, both, late=True) == [erased, loaded, late]
    assert await store.read_wave_jobs(WAVE, both[1:], late=False) == [loaded]


async def test_a_crew_is_those_on_shift_or_all_of_the_station(database: StoreDatabase):
    await save(database, entries=CATALOGUE)
    store: WaveStore = database.reader
    members = [CrewMember(f"k{n}", str(1000 * n), str(n), None, None) for n in (1, 2, 3)]
    assert await store.read_crew(WAVE, []) == members
    day = {"wave": None, "market_day": "d1"}
    async with database.transaction() as writer:
        for n, one in enumerate(
            [
                shift(1, "k1"),
                shift(1, "k1", **day, from_at=NOON - HOUR),  # the longer one
                shift(1, "k2", from_at=NOON - HOUR, until_at=NOON),  # ends before the slot
                shift(1, "k3", wave="w2"),
                shift(1, "k4"),  # of another station
            ]
        ):
            await writer.record_shift(replace(one, id=uid(n)))
    on_shift = members[0]._replace(from_at=NOON - HOUR, until_at=NOON + HOUR)
    assert await store.read_crew(WAVE, []) == [on_shift]
    assert await store.read_crew(WAVE, ["k3", "k4"]) == [on_shift, members[2]]


async def test_a_route_has_open_jobs_and_those_of_released_waves_in_the_order_of_their_times(database: StoreDatabase):
    def of_k1(n: int, state: JobState, wave: Wave, minutes: int, **more: Any) -> Job:
        return job(n, state, wave, courier="k1", eta=NOON + timedelta(minutes=minutes), **more)

    jobs = [
        of_k1(1, JobState.ASSIGNED, WAVE, 9),
        of_k1(2, JobState.LOADED, WAVE, 5, trip=1, stop=2),
        of_k1(3, JobState.DELIVERED, LATER, 5, trip=1, stop=1),
        of_k1(4, JobState.DELIVERED, WAVE, 1),
        job(5, JobState.ASSIGNED, courier="k2", eta=NOON),
    ]
    await save(database, waves=[WAVE, replace(LATER, state=WaveState.RELEASED)], jobs=jobs)
    async with database.transaction() as store:
        for n, (wave, hours) in enumerate([("w2", 1), ("w2", 3)]):
            await store.record_shift(shift(n, "k1", wave=wave, until_at=NOON + hours * HOUR))
        await store.record_shift(shift(9, "k2", until_at=NOON + 9 * HOUR))
    found = [RouteJob(jobs[2], person(3), True, NOON + 3 * HOUR)]
    found += [RouteJob(jobs[n], person(n + 1), False, None) for n in (1, 0)]
    assert await database.reader.read_route("k1") == found
    async with database.transaction() as store:
        day = {"wave": None, "market_day": WAVE.market_day}
        await store.record_shift(shift(8, "k1", **day, until_at=NOON + 5 * HOUR))
    assert {one.shift_until for one in await database.reader.read_route("k1")} == {NOON + 5 * HOUR}


@pytest.mark.stack
@pytest.mark.parametrize("seed", range(3))
async def test_random_days_are_the_same_in_both(
    seed: int, open_pair: Callable[[str], Awaitable[tuple[StoreDatabase, StoreDatabase]]]
):
    pair, rng = await open_pair("dispatch"), random.Random(seed)
    for database in pair:
        await save(database, waves=[WAVE, LATER, OTHER_DAY])
    for _ in range(15):
        changes = _random_changes(rng)
        for database in pair:
            await save(database, **changes)
        real, crew = NOON + timedelta(seconds=rng.randint(0, 60)), rng.sample(["k1", "k2", "k3"], 1)
        memory, postgres = [await _everything(database, real, crew) for database in pair]
        assert memory == postgres


def _random_changes(rng: random.Random) -> dict[str, Any]:
    waves = [
        replace(rng.choice([WAVE, LATER, OTHER_DAY]), state=rng.choice(list(WaveState)), version=rng.randint(1, 3))
        for _ in range(rng.randint(0, 1))
    ]
    jobs = []
    for n in rng.sample(range(1, 9), rng.randint(1, 4)):
        state = rng.choice([state for state in JobState if state is not JobState.NEW])
        if state is JobState.INCOMPLETE:
            jobs.append(waiting(n, rng.choice(["item/egg", "recipient", "wave/w1", "wave/w2"])))
        else:
            more = {"courier": rng.choice(["k1", "k2"]), "eta": NOON + HOUR * rng.random(), "stop": rng.randint(1, 3)}
            jobs.append(job(n, state, rng.choice([WAVE, LATER, OTHER_DAY]), **more))
    return {"waves": waves, "jobs": jobs, "entries": rng.sample(CATALOGUE, 2)}


async def _everything(database: StoreDatabase, real: datetime, crew: list[str]) -> list[Any]:
    """Return all that the store reads; at the end a wave is claimed and blocked."""
    ids, orders, waves = [uid(n) for n in range(9)], [uid(100 + n) for n in range(9)], ["w1", "w2", "w3"]
    async with database.transaction() as store:
        found: list[Any] = [
            await store.lock_waves(waves[:1], ["d2"]),
            await store.lock_jobs_of_waves(waves[1:]),
            await store.lock_jobs_of_orders(orders[:5]),
            await store.lock_jobs(ids),
            sorted(await store.orders_waiting_for(["item/egg", "recipient"])),
            dict(await store.count_jobs(waves)),
            (await store.read_catalog([catalog_key(CourierPut, "k1")])).entries,
            sorted(await store.read_recipients(orders), key=lambda recipient: recipient.order),
        ]
    store = database.reader
    found += [await store.wave_with_late_jobs(), list(await store.ended_waves()), await store.read_crew(WAVE, crew)]
    found += [await store.read_wave_jobs(WAVE, list(JobState), late=late) for late in (False, True)]
    found += [await store.read_route(courier) for courier in ("k1", "k2")]
    if claimed := await store.claim_wave(real, LEASE):
        await store.block_wave(claimed, "no station", real + LEASE / 2)
    return [*found, claimed, *[await store.read_wave(id) for id in waves]]
