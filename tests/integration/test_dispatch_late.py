"""Orders that arrive after the cutoff, on a real database: inserted into the current plan, or refused with a reason."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from contracts.events.dispatch import JobAssigned, JobPlanned, JobRefused, Quote, WavePlanned, WaveReleased
from services.dispatch.commands import job as job_commands
from services.dispatch.commands import plan as plan_commands
from services.dispatch.commands import planning
from services.dispatch.domain import wave as domain
from services.dispatch.planning.process import planner
from services.dispatch.repository import planning as reads
from tests.integration.dispatch_world import CATALOGUE, Order, World, hours, market_day, wave
from tests.integration.dispatch_world import fresh_world as fresh_world

pytestmark = pytest.mark.stack
NOON = wave("noon", 4, 2, 4)
QUOTE = "/promises?community=simaochong&market_day=sat"


async def ask(world: World, *orders: Order, quote: Quote | None = None) -> None:
    await world.feed(*(order.recipient for order in orders), *(order.schedule(quote) for order in orders))


async def asked_after_the_cutoff(world: World, *late: Order, waves: Any = (NOON,)) -> list[Order]:
    """A planned noon wave with two jobs, and late orders that wait for its plan; the two."""
    early = [Order(n=n) for n in range(2)]
    await world.planned(early, *waves)
    await ask(world, *late)
    return early


async def test_a_late_order_is_fitted_into_the_plan_that_stands(world: World):
    late = Order(n=2)
    early = await asked_after_the_cutoff(world, late)
    assert (await world.job(late))["waits"] == ["wave/noon"]
    assert await planning.answer_next_wave(world.context)
    told = (await world.published(JobPlanned))[-1]
    assert (told.job, told.wave, told.as_promised) == (late.job, "noon", True)
    first, second = await world.published(WavePlanned)
    assert (second.version, second.stops, second.planner) == (first.version + 1, 3, "insertion")
    plan = await world.call("operator", "GET", "/waves/noon/plan")
    change = next(change for change in plan["diff"]["changes"] if change["job"] == str(late.job))
    assert (change["was"], plan["diff"]["metres"]) == (None, second.metres - first.metres)
    assert not await planning.answer_next_wave(world.context)
    await world.call("operator", "POST", "/waves/noon:release")
    assert {event.job for event in await world.published(JobAssigned)} == {order.job for order in (*early, late)}


async def test_what_the_plan_has_no_place_for_is_refused_with_its_reason_or_goes_with_a_later_wave(world: World):
    heavy = Order(n=2, grams=500_000)
    await asked_after_the_cutoff(world, heavy)
    await world.run_planning()
    why = "every courier: carries 160000 g, it weighs 500700 g"
    assert [(event.job, event.reason) for event in await world.published(JobRefused)] == [(heavy.job, why)]
    assert len(await world.published(WavePlanned)) == 1


async def test_a_promise_is_kept_by_the_plan_before_a_later_wave_is_taken(world: World):
    await world.feed(*CATALOGUE, market_day(NOON, wave("evening", 7, 6)))
    quote = Quote(**await world.call("buyer", "GET", QUOTE))
    promised, heavy, unquoted = Order(n=1), Order(n=2, grams=500_000), Order(n=3)
    await ask(world, Order())
    await world.call("operator", "POST", "/waves/noon:cut")
    await world.run_planning()
    await ask(world, promised, heavy, quote=quote)
    await ask(world, unquoted)
    await world.run_planning()
    planned = {event.job: (event.wave, event.as_promised) for event in await world.published(JobPlanned)}
    assert planned[promised.job] == ("noon", True)
    assert planned[heavy.job] == ("evening", False)
    assert planned[unquoted.job] == ("evening", True)
    assert (await world.call("buyer", "GET", QUOTE))["wave"] == "evening"


async def test_a_wave_is_never_overfull_however_many_come_late_at_once(world: World):
    late = [Order(n=n) for n in range(2, 8)]
    await asked_after_the_cutoff(world, *late)
    await asyncio.gather(*(planning.answer_next_wave(world.context) for _ in range(3)))
    await world.run_planning()
    answers = Counter(type(event).__name__ for event in await world.published(JobPlanned, JobRefused))
    assert answers == {"JobPlanned": 4, "JobRefused": 4}
    assert {event.reason for event in await world.published(JobRefused)} == {"the wave is full"}
    assert (await world.call("operator", "GET", "/waves/noon"))["jobs"] == {"planned": 4}
    await ask(world, Order(n=9))
    assert (await world.published(JobRefused))[-1].reason == "every wave is past its cutoff"


async def test_who_comes_while_the_wave_is_being_planned_is_in_its_first_plan_or_in_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    before, between, solve = Order(n=1), Order(n=2), planner.search

    async def slow(*terms: Any) -> Any:
        await ask(world, between)
        return await solve(*terms)

    monkeypatch.setattr(planner, "search", slow)
    await world.feed(*CATALOGUE, market_day(NOON))
    await ask(world, Order())
    await world.call("operator", "POST", "/waves/noon:cut")
    await ask(world, before)
    await world.run_planning()
    assert [(event.version, event.stops) for event in await world.published(WavePlanned)] == [(3, 2), (4, 3)]
    assert len(await world.published(JobPlanned)) == 3


async def test_an_empty_wave_is_over_only_when_nobody_waits_for_it(world: World):
    await world.feed(*CATALOGUE, market_day(NOON, wave("two", 5, 2)))
    for id in ("noon", "two"):
        await world.call("operator", "POST", f"/waves/{id}:cut")
    light, heavy = Order(), Order(n=1, grams=500_000)
    await ask(world, light, heavy)
    await world.run_planning()
    assert [(event.job, event.wave) for event in await world.published(JobPlanned)] == [(light.job, "noon")]
    assert [event.job for event in await world.published(JobRefused)] == [heavy.job]
    assert [event.wave for event in await world.published(WaveReleased)] == ["two"]


async def test_whoever_still_waits_when_the_routes_are_handed_out_is_turned_away(world: World):
    waits, late = Order(n=2), Order(n=3)
    await asked_after_the_cutoff(world, waits)
    await world.call("operator", "POST", "/waves/noon:release")
    await ask(world, late)
    await world.run_planning()
    assert {event.job: event.reason for event in await world.published(JobRefused)} == {
        waits.job: "the routes of wave noon are handed out",
        late.job: "every wave is past its cutoff",
    }


async def test_a_slot_that_has_begun_takes_nobody(world: World):
    await asked_after_the_cutoff(world, Order(n=2))
    world.clock.set(hours(4))
    await world.run_planning()
    assert [event.reason for event in await world.published(JobRefused)] == ["the slot of wave noon has begun"]


async def test_a_cancel_crosses_the_answer_and_repeats_change_nothing(world: World):
    stays, goes = Order(n=2), Order(n=3)
    await asked_after_the_cutoff(world, stays, goes)
    found = await reads.read_current_plan(world.context.store, "noon")
    assert found is not None
    plan = await planning.insert_late_jobs(found, world.clock.now())
    await world.feed(goes.cancel, stays.recipient)
    for _ in range(2):
        await planning.change_wave(world.context, found.wave, plan, plan_commands.answer_late_jobs)
    assert [event.job for event in await world.published(JobPlanned)][2:] == [stays.job]
    assert len(await world.published(WavePlanned)) == 2
    await world.call("operator", "POST", "/waves/noon:release")
    assert goes.job not in {event.job for event in await world.published(JobAssigned)}


async def test_a_plan_changed_by_hand_meanwhile_is_not_overwritten(world: World):
    late = Order(n=2)
    early = await asked_after_the_cutoff(world, late)
    found = await reads.read_current_plan(world.context.store, "noon")
    assert found is not None
    plan = await planning.insert_late_jobs(found, world.clock.now())
    move = {"jobs": [str(early[0].job)], "courier": "van-1", "trip": 1, "new_trip": True}
    body = {"version": found.wave.version, "moves": [move]}
    await world.call("operator", "POST", "/waves/noon/plan:apply", json=body)
    assert not await planning.change_wave(world.context, found.wave, plan, plan_commands.answer_late_jobs)
    assert (await world.job(late))["state"] == "incomplete"
    await world.run_planning()
    assert (await world.job(late))["state"] == "planned"
    made = await world.call("operator", "GET", "/waves/noon/plan")
    routes = {route["courier"]: route["trips"] for route in made["routes"]}
    assert str(early[0].job) in [stop["job"] for stop in routes["van-1"][0]["stops"]]
    assert [event.planner for event in await world.published(WavePlanned)][1:] == ["by hand", "insertion"]


@pytest.mark.seeded
async def test_seeded_a_plan_for_any_version_is_seen(world: World, monkeypatch: pytest.MonkeyPatch):
    real = domain.planned
    monkeypatch.setattr(plan_commands, "planned", lambda wave, version: real(wave, wave.version))
    with pytest.raises(AssertionError):
        await test_a_plan_changed_by_hand_meanwhile_is_not_overwritten(world)


@pytest.mark.seeded
async def test_seeded_room_that_is_not_looked_at_is_seen(world: World, monkeypatch: pytest.MonkeyPatch):
    real = domain.planned

    def roomy(wave: domain.Wave, version: int) -> domain.Wave | None:
        made = real(wave, version)
        return made and replace(made, capacity=99)

    async def all_of_them(_store: Any, _wave: domain.Wave, jobs: list[Any]) -> tuple[list[Any], list[Any]]:
        return jobs, []

    monkeypatch.setattr(plan_commands, "planned", roomy)
    monkeypatch.setattr(reads, "_within_capacity", all_of_them)
    with pytest.raises(AssertionError):
        await test_a_wave_is_never_overfull_however_many_come_late_at_once(world)


@pytest.mark.seeded
async def test_seeded_a_released_wave_that_is_asked_is_seen(world: World, monkeypatch: pytest.MonkeyPatch):
    real, released, planned = domain.choose_late_wave, domain.WaveState.RELEASED, domain.WaveState.PLANNED

    def careless(waves: Iterable[domain.Wave], *terms: Any, **more: Any) -> domain.Wave | None:
        return real([replace(w, state=planned) if w.state is released else w for w in waves], *terms, **more)

    monkeypatch.setattr(job_commands, "choose_late_wave", careless)
    with pytest.raises(AssertionError):
        await test_whoever_still_waits_when_the_routes_are_handed_out_is_turned_away(world)
