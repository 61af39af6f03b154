"""Reasons for unserved orders, for each courier, with a fix; findings of invalid problems, with pointer and fix."""

import json
from dataclasses import replace

import pytest

from services.dispatch.planning import checker, validation
from services.dispatch.planning.construct import greedy, insertion
from services.dispatch.planning.problem import Break, Courier, Order, Place, RoutingProblem, Window
from tests.unit.planning_given import HOUR, STATION, courier, order, problem


@pytest.mark.parametrize(
    ("late", "crew", "reason", "mend"),
    [
        (order(skills=("stairs",)), [courier()], "lacks stairs", "a courier with stairs"),
        (order(zone="west"), [courier(zones=("east",))], "does not go to zone west", "a courier for zone west"),
        (order(load_g=200_000), [courier()], "carries 100000 g, it weighs 200000 g", "a larger vehicle"),
        (order(cold_ml=30_000), [courier()], "has 20000 ml of cold box, it needs 30000 ml", "a larger cold box"),
        (order(lat=31.0), [courier()], "could arrive at 15:45 at the earliest, the window ends 14:00", "until 15:45"),
        (order(release_s=15 * HOUR), [courier()], "could arrive at 15:15 at the earliest", "a window until 15:15"),
        (order(out_of_cold_s=60), [courier()], "the way takes 10 min out of the cold, 1 allowed", "a nearer station"),
        (order(), [courier(until_s=11 * HOUR)], "would be back at 11:12, the shift ends 11:00", "a shift until 11:12"),
        (order(), [courier(breaks=(Break(9 * HOUR, 14 * HOUR, 5 * HOUR),))], "a break is in the way", "another time"),
        (order(), [], "no courier is on shift", "put a courier on shift"),
        (order(windows=()), [courier()], "it has no window", "give it a window"),
    ],
)
def test_the_binding_constraint_is_said_in_words(late: Order, crew: list[Courier], reason: str, mend: str):
    plan = greedy.solve(problem([late], crew))
    assert checker.faults(problem([late], crew), plan) == []
    (gone,) = plan.unserved
    assert reason in gone.reason
    assert mend in gone.mend


def test_a_full_box_and_what_could_be_later_are_said_together():
    busy = [order(f"o{n}", cold_ml=20_000, windows=(Window(17 * HOUR, 17 * HOUR + 2400),)) for n in range(3)]
    given = problem(busy, [courier(until_s=20 * HOUR, from_s=16 * HOUR + 2400)])
    (gone,) = greedy.solve(given).unserved
    full = "cold box has no 20000 ml left on any trip before 17:40"
    assert gone.reason == f"courier van-1: {full}; could arrive at 17:54, the window ends 17:40"
    assert gone.mend == "a second vehicle, or a window until 17:54"


def test_each_courier_has_its_own_reason():
    crew = [courier("a", capacity_g=1), courier("b", zones=("east",)), courier("c", until_s=11 * HOUR)]
    (gone,) = greedy.solve(problem([order(zone="west")], crew)).unserved
    assert [(one.courier, one.reason) for one in gone.couriers] == [
        ("a", "carries 1 g, it weighs 5000 g"),
        ("b", "does not go to zone west"),
        ("c", "would be back at 11:12, the shift ends 11:00"),
    ]
    assert gone.reason.startswith("courier c: ")  # who comes nearest to serving it


def test_an_optional_order_says_what_it_would_cost():
    (gone,) = greedy.solve(problem([order(prize_fen=10)])).unserved
    assert "its prize is 10" in gone.reason


def test_urgent_and_required_orders_come_first():
    orders = [order(f"o{n}", load_g=60_000, priority=n % 3) for n in range(6)]
    only = courier(until_s=11 * HOUR + 3000)  # time for two trips
    served = greedy.solve(problem([*orders, order("dear", load_g=1, prize_fen=1)], [only]))
    left = {gone.order for gone in served.unserved}
    assert {"o2", "o5"}.isdisjoint(left)
    assert {"o0", "o3"} <= left


def test_ten_thousand_orders_for_one_courier_get_reasons():
    many = problem([replace(order(f"o{n}"), place=Place(28.2 + n / 1e5, 112.99)) for n in range(10_000)])
    plan = greedy.solve(many)
    assert plan.stops > 10
    assert plan.stops + len(plan.unserved) == 10_000
    assert all(gone.reason for gone in plan.unserved)
    assert checker.faults(many, plan) == []


GOOD = {
    "station": {"lat": 28.2, "lon": 112.9},
    "couriers": [{"id": "c", "capacity_g": 1, "cold_ml": 1, "from_s": 0, "until_s": 9}],
    "orders": [
        {
            "id": "o",
            "place": {"lat": 28.2, "lon": 112.9},
            "load_g": 1,
            "cold_ml": 0,
            "windows": [{"from_s": 1, "until_s": 2}],
        }
    ],
}


def spoilt(*path: str | int, value: object) -> str:
    text = json.loads(json.dumps(GOOD))
    inner = text
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return json.dumps(text)


WINDOW = {"from_s": 1, "until_s": 5}
BREAK = {"from_s": 2, "until_s": 4, "length_s": 3}


@pytest.mark.parametrize(
    ("text", "pointer", "mend"),
    [
        ("{", "", "send JSON"),
        (spoilt("station", "lat", value=95), "/station/lat", "smaller"),
        (spoilt("orders", 0, "windows", 0, "from_s", value=-5), "/orders/0/windows/0/from_s", "larger"),
        (spoilt("orders", 0, "windows", 0, "until_s", value=0), "/orders/0/windows/0/until_s", "swap"),
        (spoilt("orders", 0, "windows", value=[]), "/orders/0/windows", "at least one"),
        (
            spoilt("orders", 0, "windows", value=[{"from_s": 1, "until_s": 5}] * 2),
            "/orders/0/windows/1/from_s",
            "without overlap",
        ),
        (spoilt("orders", value=GOOD["orders"] * 2), "/orders/1/id", "a unique id"),
        (spoilt("couriers", 0, "id", value=""), "/couriers/0/id", "a unique id"),
        (spoilt("couriers", 0, "until_s", value=0), "/couriers/0/until_s", "swap"),
        (spoilt("couriers", 0, "capacity_g", value=1.5), "/couriers/0/capacity_g", "whole number"),
        (spoilt("couriers", 0, "breaks", value=[BREAK]), "/couriers/0/breaks/0/length_s", "widen"),
        (spoilt("couriers", 0, "breaks", value=[BREAK | {"until_s": 99}]), "/couriers/0/breaks/0", "put it between"),
        (spoilt("colour", value="red"), "/colour", "remove it"),
        (spoilt("ways", value=[{"profile": "van", "metres": [[0]], "seconds": [[0]]}]), "/ways/0/metres", "2 x 2"),
    ],
)
def test_nonsense_is_told_where_what_and_how_to_mend(text: str, pointer: str, mend: str):
    with pytest.raises(validation.InvalidProblem) as told:
        validation.read(text)
    flaw = told.value.flaws[0]
    assert (flaw.pointer, mend in flaw.mend) == (pointer, True), flaw


def test_a_good_problem_is_read():
    assert validation.read(json.dumps(GOOD)).orders[0].service_s == 120


def test_nobody_to_drive_and_nothing_to_bring_are_good_problems():
    for given in (
        RoutingProblem(STATION, (), (order(),)),
        RoutingProblem(STATION, (courier(),), ()),
        RoutingProblem(STATION, (), ()),
    ):
        validation.check(given)
        assert checker.faults(given, greedy.solve(given)) == []


def test_a_late_order_is_offered_in_a_sentence():
    given = problem([order("a"), order("b", load_g=98_000)])
    engine = insertion.Engine(given, greedy.solve(given))
    assert str(engine.offer(order("late", 28.25))) == "yes: courier van-1, second trip, 11:29-11:44, +2.4 km"
    refused = engine.offer(order("cold", cold_ml=30_000))
    assert not isinstance(refused, insertion.Offer)
    assert refused.reason == "courier van-1: has 20000 ml of cold box, it needs 30000 ml"


def test_an_offer_that_no_longer_fits_is_not_taken():
    given = problem([order("a", load_g=60_000)], [courier(until_s=11 * HOUR + 1200)])
    engine = insertion.Engine(given, greedy.solve(given))
    first, second = engine.offer(order("x", load_g=30_000)), engine.offer(order("y", load_g=30_000))
    engine.accept(first)
    with pytest.raises(ValueError, match="no longer fits"):
        engine.accept(second)
    assert engine.plan().stops == 2
