"""Every plan of the greedy planner passes a checker that shares no code with it."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from services.dispatch.planning import checker
from services.dispatch.planning.construct import greedy
from services.dispatch.planning.problem import Courier, Order, Place, RoutingProblem, Window
from services.dispatch.planning.travel.matrix import Estimate

HOUR = 3600
PLACES = st.builds(Place, st.floats(28.1, 28.4), st.floats(112.8, 113.2))
ORDERS = st.builds(
    lambda place, load, cold, start, length, service: Order(
        "", place, load, cold, (Window(start, start + length),), service
    ),
    PLACES,
    st.integers(0, 60_000),
    st.integers(0, 20_000),
    st.integers(9 * HOUR, 13 * HOUR),
    st.integers(0, 3 * HOUR),
    st.integers(0, 900),
)
COURIERS = st.builds(
    lambda load, cold, start, length: Courier("", load, cold, start, start + length),
    st.integers(0, 120_000),
    st.integers(0, 40_000),
    st.integers(7 * HOUR, 12 * HOUR),
    st.integers(0, 8 * HOUR),
)
PROBLEMS = st.builds(
    lambda station, couriers, orders, load_s: RoutingProblem(
        station,
        tuple(replace(c, id=f"c{n}") for n, c in enumerate(couriers)),
        tuple(replace(o, id=f"o{n}") for n, o in enumerate(orders)),
        load_s,
    ),
    PLACES,
    st.lists(COURIERS, max_size=4),
    st.lists(ORDERS, max_size=25),
    st.integers(0, 1200),
)


@settings(max_examples=300, deadline=None)
@given(PROBLEMS)
def test_a_greedy_plan_has_no_fault_and_loses_no_order(problem):
    plan = greedy.solve(problem)
    assert checker.faults(problem, plan) == []
    assert plan.stops + len(plan.unserved) == len(problem.orders)
    assert greedy.solve(problem) == plan


@settings(max_examples=100, deadline=None)
@given(st.lists(PLACES, min_size=3, max_size=3))
def test_a_detour_is_never_shorter_or_faster(places):
    matrix = Estimate(places)
    for way in (matrix.metres, matrix.seconds):
        # rounding up leaves at most one unit a leg
        assert way(0, 2) <= way(0, 1) + way(1, 2) + 2
        assert way(0, 1) == way(1, 0)
        assert way(0, 0) == 0
