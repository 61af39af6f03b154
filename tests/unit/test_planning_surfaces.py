"""User-visible parts: the picture, `halfday plan`, manual moves, replanning on the way; and the numbers below them."""

import json
import random
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pydantic import TypeAdapter

from deploy.cli import plan_picture, whatif
from deploy.local.errors import StackError
from services.dispatch.planning import checker
from services.dispatch.planning.construct import greedy
from services.dispatch.planning.problem import Place, RoutingProblem, TravelTimes
from services.dispatch.planning.replanning import moves, replan
from services.dispatch.planning.travel.arrays import arrays, estimate
from services.dispatch.planning.travel.matrix import SPEEDS, Estimate, layout, narrowed
from tests.unit.planning_given import HOUR, courier, order, problem, town

TOWN = town(60, 5)
PLAN = greedy.solve(TOWN)
SVG = "{http://www.w3.org/2000/svg}"


def halfday(*args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy.cli", *map(str, args)], capture_output=True, text=True, check=False
    )


def test_the_picture_has_every_trip_stop_and_unserved_order():
    drawn = ElementTree.fromstring(plan_picture.svg(TOWN, PLAN))
    assert len(drawn.findall(f"{SVG}polyline")) == sum(len(route.trips) for route in PLAN.routes)
    assert len(drawn.findall(f"{SVG}circle")) == PLAN.stops
    assert len(drawn.findall(f"{SVG}path[{SVG}title]")) == len(PLAN.unserved)
    texts = " ".join(text.text or "" for text in drawn.findall(f"{SVG}text"))
    assert "station" in texts
    assert all(f"courier {route.courier}" in texts for route in PLAN.routes)


def test_a_name_can_t_break_the_picture():
    given = problem([order("<b>&\"'")], [courier("<script>")])
    assert ElementTree.fromstring(plan_picture.svg(given, greedy.solve(given))) is not None


def test_plan_prints_draws_and_says_what_it_left_out(tmp_path: Path):
    file, drawn = tmp_path / "morning.json", tmp_path / "plan.svg"
    file.write_bytes(TypeAdapter(RoutingProblem).dump_json(problem([order("li"), order("far", 31.0)])))
    told = halfday("plan", file, "--picture", drawn, "--seconds", "2")
    assert told.returncode == 0, told.stderr
    assert "trip 1" in told.stdout
    assert "not served: far: " in told.stdout
    assert ElementTree.parse(drawn).getroot().tag == f"{SVG}svg"
    assert stat.S_IMODE(drawn.stat().st_mode) == 0o600, "it shows where people live"
    whole = json.loads(halfday("plan", file, "--json", "--seconds", "2").stdout)
    assert whole["routes"][0]["trips"][0]["stops"][0]["order"] == "li"


@pytest.mark.parametrize("text", ["", "[]", '{"station": 1}'])
def test_plan_refuses_nonsense_in_words(tmp_path: Path, text: str):
    file = tmp_path / "bad.json"
    file.write_text(text)
    told = halfday("plan", file)
    assert (told.returncode, told.stdout) == (1, "")
    assert "is not a valid problem" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_day_can_be_planned_again_under_other_conditions():
    was = problem([order(f"o{n}", load_g=60_000) for n in range(9)], [courier("a"), courier("b", until_s=15 * HOUR)])
    then = whatif.changed(was, add=2, without=["b"], capacity=50, wider=30, later=60)
    assert [one.id for one in then.couriers] == ["a", "more-1", "more-2"]
    assert {one.capacity_g for one in then.couriers} == {50_000}
    assert then.orders[0].windows[0].until_s == 14 * HOUR + 1800
    assert then.orders[0].release_s == 10 * HOUR
    assert whatif.changed(was, 0, (), 100, 0, 0) == was
    with pytest.raises(StackError, match="expected one of the wave's: a, b"):
        whatif.changed(was, 0, ["c"], 100, 0, 0)


def test_a_stop_several_or_a_trip_move_by_hand():
    given = problem([order(f"o{n}", 28.24 + n / 500) for n in range(6)], [courier("a"), courier("b")])
    plan = greedy.solve(given)
    (route,) = plan.routes
    ids = [stop.order for stop in route.trips[0].stops]
    one = moves.move(given, plan, ids[3:4], "a", 1, before=ids[0])
    assert [stop.order for stop in one.plan.routes[0].trips[0].stops] == [ids[3], *ids[:3], *ids[4:]]
    assert one.breaches == ()
    assert one.diff.cost_fen == one.plan.cost_fen - plan.cost_fen > 0
    several = moves.move(given, plan, [ids[4], ids[1]], "b", 1)
    assert [stop.order for stop in several.plan.routes[1].trips[0].stops] == [ids[1], ids[4]]
    assert several.diff.moved == 2
    trip = moves.move(given, plan, ids, "b", 1)
    assert [route.courier for route in trip.plan.routes] == ["b"]
    assert trip.diff.cost_fen == 0


def test_a_move_that_breaks_rules_names_them_and_one_of_nothing_is_refused():
    given = problem([order("a", load_g=80_000), order("b", load_g=80_000)])
    plan = greedy.solve(given)
    other = plan.routes[0].trips[1].stops[0].order
    moved = moves.move(given, plan, [other], "van-1", 1)
    assert any("carries more than 100000 g" in breach for breach in moved.breaches)
    for orders, who, trip, before in (
        (["x"], "van-1", 1, None),
        (["a"], "x", 1, None),
        (["a"], "van-1", 9, None),
        ([other], "van-1", 1, other),
    ):
        with pytest.raises(ValueError, match=r"not in|does not exist"):
            moves.move(given, plan, orders, who, trip, before)


def test_on_the_way_bags_stay_and_late_ones_are_told():
    given = problem([order(f"o{n}", load_g=40_000) for n in range(4)])
    plan = greedy.solve(given)
    first, second = plan.routes[0].trips
    late = replan.Progress(first.stops[0].eta_s + 4 * HOUR, {first.stops[0].order: first.stops[0].eta_s + 4 * HOUR})
    future = replan.future(given, plan, late)
    assert [stop.order for stop in future.begun[0].trips[0].stops] == [stop.order for stop in first.stops]
    assert set(future.late) == {stop.order for stop in first.stops}
    assert {one.id for one in future.problem.orders} == {stop.order for stop in second.stops}
    assert {gone.order for gone in future.warm.unserved} == {stop.order for stop in second.stops}  # too late by then
    calm = replan.future(given, plan, replan.Progress(first.stops[0].eta_s, {}))
    after = replan.merged(given, calm.begun, calm.warm)
    assert (after.routes, after.metres, after.cost_fen) == (plan.routes, plan.metres, plan.cost_fen)


def test_numpy_and_python_give_the_same_ways():
    r = random.Random(4)
    places = [Place(28 + r.random(), 112 + 2 * r.random()) for _ in range(60)]
    for profile in SPEEDS:
        metres, seconds = estimate(places, profile)
        lazy = Estimate(places, profile)
        assert [lazy.row(a) for a in range(60)] == metres.tolist()
        assert [[lazy.seconds(a, b) for b in range(60)] for a in range(60)] == seconds.tolist()


def test_given_ways_are_cut_with_the_problem():
    where = layout(TOWN).places
    lazy = Estimate(where)
    size = range(len(where))
    metres = [[lazy.metres(a, b) for b in size] for a in size]
    given = replace(TOWN, ways=(TravelTimes("van", metres, [[lazy.seconds(a, b) for b in size] for a in size]),))
    assert greedy.solve(given).stops > 0
    half, crew = TOWN.orders[::2], TOWN.couriers[1:3]
    small = narrowed(given, half, crew)
    alone = narrowed(TOWN, half, crew)
    metres_alone, _ = arrays(alone, layout(alone).places)
    assert small.ways[0].metres == metres_alone.tolist()
    assert checker.faults(small, greedy.solve(small)) == []
