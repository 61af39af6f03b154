"""Late orders in any plan: planned stops are kept, inserted ones break no rule, and each order is answered once."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dispatch.planning import checker
from services.dispatch.planning.construct import greedy
from services.dispatch.planning.construct.insertion import Engine, Offer
from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import Order, RoutingProblem, Window
from services.dispatch.planning.replanning import keep_plan
from tests.property.planning_problems import HOUR, PROBLEMS
from tests.unit.planning_given import courier, order
from tests.unit.planning_given import problem as town


def stops(plan: Plan) -> set[str]:
    return {stop.order for route in plan.routes for trip in route.trips for stop in trip.stops}


@settings(max_examples=150, deadline=None)
@given(PROBLEMS, st.integers(0, 4), st.integers(0, 3), st.integers(6 * HOUR, 8 * HOUR))
def test_late_orders_are_fitted_in_and_nobody_is_lost(
    problem: RoutingProblem, came_late: int, cancelled: int, now: int
):
    early = replace(problem, orders=problem.orders[came_late:])
    plan = greedy.solve(early)
    kept = {order.id for order in problem.orders} - set(sorted(stops(plan))[:cancelled])
    wanted = replace(problem, orders=tuple(one for one in problem.orders if one.id in kept))
    late = [one.id for one in wanted.orders if one.id not in stops(plan)]
    made, told = keep_plan.insert_late(wanted, plan, late, now)
    assert checker.faults(wanted, made) == []
    assert stops(plan) & kept <= stops(made)
    assert stops(made) | {gone.order for gone in made.unserved} == kept
    assert [answer.order for answer in told] == late
    assert {answer.order for answer in told if isinstance(answer, Offer)} == stops(made) - stops(plan)
    assert all(gone.reason for gone in made.unserved)


def test_the_orders_of_a_courier_who_is_gone_go_with_others_or_get_a_reason():
    crew = (courier("a", capacity_g=10_000), courier("b", capacity_g=10_000))
    soon = (Window(11 * HOUR, 11 * HOUR + 900),)
    problem = town([order(f"o{n}", windows=soon) for n in range(4)], list(crew))
    plan = greedy.solve(problem)
    assert len(plan.routes) == 2
    left = replace(problem, couriers=crew[1:])
    made, _ = keep_plan.insert_late(left, plan, (), 0)
    assert checker.faults(left, made) == []
    assert stops(made) | {gone.order for gone in made.unserved} == {one.id for one in problem.orders}
    assert "courier b: vehicle has no 5000 g left on any trip before 11:15" in made.unserved[0].reason
    assert [route.courier for route in keep_plan.drop_removed(left, plan).routes] == ["b"]


@pytest.mark.seeded
def test_seeded_an_insertion_that_looks_at_no_rule_does_not_leave(monkeypatch: pytest.MonkeyPatch):
    def careless(self: Engine, order: Order) -> Offer:
        self.days[0].insert(self.columns.add(order), self.days[0].gaps[-1], True)
        return Offer(order.id, "van-1", 1, True, 0, 0, 0)

    monkeypatch.setattr(Engine, "insert", careless)
    problem = town([order("early"), order("late", load_g=10**6)])
    plan = greedy.solve(replace(problem, orders=problem.orders[:1]))
    with pytest.raises(RuntimeError, match="carries more than"):
        keep_plan.insert_late(problem, plan, ["late"], 0)
