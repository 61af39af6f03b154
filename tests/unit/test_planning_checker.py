"""The checker names each broken rule of the problem."""

from dataclasses import replace

import pytest

from services.dispatch.planning import checker
from services.dispatch.planning.construct import greedy
from services.dispatch.planning.plan import Plan, Rest
from services.dispatch.planning.problem import Break, Place, RoutingProblem, Window
from tests.unit.planning_given import HOUR, courier, order, problem

LUNCH = Break(12 * HOUR, 15 * HOUR, 1800)
CREW = [courier(breaks=(LUNCH,), skills=("stairs",), zones=("east",), fen_per_hour=1000, fen_fixed=500)]
EAST = {"skills": ("stairs",), "zone": "east"}
GIVEN = problem([order("a", out_of_cold_s=HOUR, release_s=9 * HOUR, **EAST), order("b", 28.25, prize_fen=9999)], CREW)
PLAN = greedy.solve(GIVEN)
ROUTE = PLAN.routes[0]


def with_courier(**changes) -> RoutingProblem:
    return replace(GIVEN, couriers=(replace(GIVEN.couriers[0], **changes),))


def with_order(**changes) -> RoutingProblem:
    return replace(GIVEN, orders=(replace(GIVEN.orders[0], **changes), GIVEN.orders[1]))


def resting(start: int, end: int) -> Plan:
    return replace(PLAN, routes=(replace(ROUTE, breaks=(Rest(start, end),)),))


TRIP = ROUTE.trips[0]


@pytest.mark.parametrize(
    ("given", "plan", "fault"),
    [
        (with_courier(skills=()), PLAN, "courier van-1 lacks stairs for order a"),
        (with_courier(zones=("west",)), PLAN, "order a is in zone east, which courier van-1 does not serve"),
        (with_order(release_s=TRIP.start_s + 60), PLAN, "order a is loaded 60 s before it is released"),
        (with_order(out_of_cold_s=60), PLAN, "order a is out of the cold for"),
        (with_order(windows=(Window(8 * HOUR, 9 * HOUR), Window(15 * HOUR, 16 * HOUR))), PLAN, "outside its window"),
        (with_courier(start=Place(28.4, 112.99)), PLAN, "the trips add up to"),
        (with_courier(start=Place(28.4, 112.99), from_s=TRIP.start_s - 60), PLAN, "starts before the shift allows"),
        (with_courier(end=Place(28.5, 112.99)), PLAN, "is back earlier than the legs allow"),
        (with_courier(profile="bike"), PLAN, "earlier than it can be reached"),
        (with_courier(fen_per_km=101), PLAN, "fen, it states"),
        (with_courier(fen_per_hour=1001), PLAN, "fen, it states"),
        (with_courier(fen_fixed=501), PLAN, "fen, it states"),
        (GIVEN, replace(PLAN, cost_fen=PLAN.cost_fen + 1), "fen, it states"),
        (GIVEN, replace(PLAN, routes=(replace(ROUTE, breaks=()),)), "has 0 breaks of 1"),
        (GIVEN, resting(11 * HOUR, 11 * HOUR + 1800), "outside its window or too short"),
        (GIVEN, resting(14 * HOUR, 14 * HOUR + 1700), "outside its window or too short"),
        (GIVEN, resting(TRIP.end_s - 600, TRIP.end_s + 1200), "a break during a trip"),
    ],
)
def test_each_broken_rule_is_named(given: RoutingProblem, plan: Plan, fault: str):
    assert checker.faults(GIVEN, PLAN) == []
    found = checker.faults(given, plan)
    assert any(fault in one for one in found), found


def test_the_lost_prize_is_part_of_the_cost():
    left_out = greedy.solve(with_order(prize_fen=1))
    assert [gone.order for gone in left_out.unserved] == ["a"]
    assert checker.faults(with_order(prize_fen=1), left_out) == []
    assert any("fen, it states" in fault for fault in checker.faults(with_order(prize_fen=2), left_out))


def test_times_on_a_begun_trip_are_facts():
    hours = 4 * HOUR
    stops = tuple(replace(stop, eta_s=stop.eta_s + hours) for stop in TRIP.stops)
    plan = replace(PLAN, routes=(replace(ROUTE, trips=(replace(TRIP, stops=stops, end_s=TRIP.end_s + hours),)),))
    begun = {stop.order for stop in stops}
    assert any("outside its window" in fault for fault in checker.faults(GIVEN, plan))
    assert not any("order" in fault for fault in checker.faults(GIVEN, plan, begun))
