"""A wave's plan changed by hand on a real database: checked, priced, applied only to the version it was made for."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from contracts.events.dispatch import JobAssigned, JobRefused, WavePlanned
from services.dispatch.api import move as routes
from services.dispatch.commands import plan as plan_commands
from services.dispatch.domain import wave as domain
from tests.integration.dispatch_world import Order, World, wave
from tests.integration.dispatch_world import fresh_world as fresh_world

pytestmark = pytest.mark.stack
APPLY = "/waves/noon/plan:apply"


def other(courier: str) -> str:
    return {"van-1": "van-2", "van-2": "van-1"}[courier]


async def plan_of(world: World) -> dict[str, Any]:
    found = await world.call("operator", "GET", "/waves/noon/plan")
    assert isinstance(found, dict)
    return found


def trips(plan: dict[str, Any]) -> dict[str, list[list[str]]]:
    """The jobs of each courier's trips."""
    return {
        route["courier"]: [[stop["job"] for stop in trip["stops"]] for trip in route["trips"]]
        for route in plan["routes"]
    }


async def a_move(world: World, **changes: Any) -> tuple[dict[str, Any], str, str]:
    """A request that moves a stop to the other courier; the job and that courier."""
    plan = await plan_of(world)
    courier, made = next(iter(trips(plan).items()))
    move = {"jobs": [made[0][0]], "courier": other(courier), "trip": 1} | changes
    return {"version": plan["version"], "moves": [move]}, made[0][0], other(courier)


async def test_a_move_is_priced_then_applied_and_handed_out(world: World):
    await world.planned([Order(n=n) for n in range(4)])
    before = await plan_of(world)
    body, job, courier = await a_move(world)
    priced = await world.call("operator", "POST", f"{APPLY}?dry_run=true", json=body)
    assert (priced["applied"], priced["version"]) == (False, before["version"])
    assert await plan_of(world) == before
    done = await world.call("operator", "POST", APPLY, json=body)
    after = await plan_of(world)
    assert (done["applied"], done["version"], after["version"]) == (True, after["version"], before["version"] + 1)
    assert done["diff"] == priced["diff"] == after["diff"]
    assert after["diff"]["metres"] == after["metres"] - before["metres"]
    change = next(change for change in after["diff"]["changes"] if change["job"] == job)
    assert (change["was"]["courier"], change["now"]["courier"]) == (other(courier), courier)
    assert (before["diff"], after["planner"]) == (None, "by hand")
    told = (await world.published(WavePlanned))[-1]
    assert (told.version, told.planner, told.metres, told.stops) == (after["version"], "by hand", after["metres"], 4)
    await world.call("operator", "POST", "/waves/noon:release")
    assert {str(e.job): e.courier for e in await world.published(JobAssigned)}[job] == courier


async def test_a_whole_trip_moves_in_its_order_and_moves_go_together(world: World):
    await world.planned([Order(n=n) for n in range(4)])
    plan = await plan_of(world)
    courier, made = next(iter(trips(plan).items()))
    moves = [
        {"jobs": sorted(made[0]), "courier": other(courier), "trip": 1, "new_trip": True},
        {"jobs": [made[0][-1]], "courier": courier, "trip": 1},
    ]
    await world.call("operator", "POST", APPLY, json={"version": plan["version"], "moves": moves})
    after = trips(await plan_of(world))
    assert after[other(courier)][0] == made[0][:-1]
    assert made[0][-1] in after[courier][0]


async def test_of_two_who_change_a_plan_at_once_one_is_told_to_look_again(world: World):
    await world.planned([Order(n=n) for n in range(4)])
    body, _, _ = await a_move(world)
    headers = {"Authorization": "Bearer operator"}
    answers = await asyncio.gather(*(world.http.post(f"/v1{APPLY}", json=body, headers=headers) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    late = next(answer.json() for answer in answers if answer.status_code == 409)
    version = body["version"]
    assert late["code"] == "wave-moved"
    assert f"wave noon is at version {version + 1}, the moves are for version {version}; " in late["detail"]
    assert "read GET /v1/waves/noon/plan" in late["detail"]
    assert len(await world.published(WavePlanned)) == 2


@pytest.mark.seeded
async def test_seeded_a_plan_for_any_version_is_seen(world: World, monkeypatch: pytest.MonkeyPatch):
    def careless(wave: domain.Wave, version: int) -> domain.Wave:
        return replace(wave, state=domain.WaveState.PLANNED, version=wave.version + 1)

    both_drafted, draft_moves = asyncio.Barrier(2), routes.draft_moves

    async def draft_together(*terms: Any) -> Any:
        draft = await draft_moves(*terms)
        await both_drafted.wait()
        return draft

    monkeypatch.setattr(plan_commands, "planned", careless)
    monkeypatch.setattr(routes, "draft_moves", draft_together)
    with pytest.raises(AssertionError):
        await test_of_two_who_change_a_plan_at_once_one_is_told_to_look_again(world)


async def test_every_broken_rule_is_named_with_the_move_that_breaks_it(world: World):
    await world.planned([Order(n=n, grams=50_000) for n in range(2)])
    before = await plan_of(world)
    jobs = [job for made in trips(before).values() for trip in made for job in trip]
    moves = [{"jobs": [jobs[0]], "courier": "van-1", "trip": 1}, {"jobs": jobs, "courier": "van-2", "trip": 1}]
    for path in (APPLY, f"{APPLY}?dry_run=true"):
        problem = await world.call("operator", "POST", path, 422, json={"version": before["version"], "moves": moves})
        assert problem["code"] == "rules-broken"
        message = "courier van-2 has more than 90000 ml in the cold box"
        assert problem["errors"] == [{"pointer": "#/moves/1", "message": message}]
    assert await plan_of(world) == before


async def test_what_does_not_exist_is_pointed_at(world: World):
    order, gone = Order(), Order(n=1)
    await world.planned([order, gone])
    await world.feed(gone.cancel)
    version = (await plan_of(world))["version"]
    for change, pointer in {
        ("jobs", (str(gone.job),)): "#/moves/0/jobs/0",
        ("courier", "van-9"): "#/moves/0/courier",
        ("trip", 9): "#/moves/0",
        ("before", str(gone.job)): "#/moves/0",
        ("colour", "red"): "#/moves/0/colour",
    }.items():
        move = {"jobs": [str(order.job)], "courier": "van-1", "trip": 1} | dict([change])
        problem = await world.call("operator", "POST", APPLY, 422, json={"version": version, "moves": [move]})
        assert problem["errors"][0]["pointer"] == pointer
    right = {"version": version, "moves": [{"jobs": [str(order.job)], "courier": "van-1", "trip": 1}]}
    await world.call("operator", "POST", "/waves/none/plan:apply", 404, json=right)
    await world.call("courier", "POST", APPLY, 403, json=right)


async def test_a_plan_is_changed_only_while_it_stands(world: World):
    order = Order()
    move = {"jobs": [str(order.job)], "courier": "van-1", "trip": 1}
    await world.planned([order])
    await world.call("operator", "POST", "/waves/noon:release")
    for id, code in {"evening": "not-planned", "noon": "handed-out"}.items():
        body = {"version": 3, "moves": [move]}
        assert (await world.call("operator", "POST", f"/waves/{id}/plan:apply", 409, json=body))["code"] == code


async def test_the_same_request_is_answered_the_same_and_its_key_serves_no_other(world: World):
    await world.planned([Order(n=n) for n in range(4)])
    body, _, _ = await a_move(world)
    key = {"Idempotency-Key": "by hand 1"}
    first = await world.call("operator", "POST", APPLY, json=body, headers=key)
    assert await world.call("operator", "POST", APPLY, json=body, headers=key) == first
    assert len(await world.published(WavePlanned)) == 2
    again = body | {"version": first["version"]}
    assert (await world.call("operator", "POST", APPLY, 409, json=again, headers=key))["code"] == "id-reused"


async def test_who_cancelled_or_was_erased_meanwhile_falls_out_of_the_next_plan(world: World):
    stays, goes, erased = orders = [Order(n=n) for n in range(3)]
    await world.planned(orders, wave("noon", 4, 2))
    await world.feed(goes.cancel, world.tombstone(erased.id))
    plan = await plan_of(world)
    move = {"jobs": [str(stays.job)], "courier": "van-1", "trip": 1, "new_trip": True}
    await world.call("operator", "POST", APPLY, json={"version": plan["version"], "moves": [move]})
    after = await plan_of(world)
    gone = {change["job"] for change in after["diff"]["changes"] if change["now"] is None}
    assert gone == {str(goes.job), str(erased.job)}
    assert [left["reason"] for left in after["unserved"]] == ["the delivery address is unknown or erased"]
    assert [(e.job, e.reason) for e in await world.published(JobRefused)] == [
        (erased.job, "the delivery address is unknown or erased")
    ]
