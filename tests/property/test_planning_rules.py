"""No plan, insertion, move or replan of any problem breaks a rule that the checker knows, or loses an order."""

import time
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.dispatch.planning import checker, validation
from services.dispatch.planning.construct import greedy, insertion, seeding
from services.dispatch.planning.construct.neighbours import Neighbours
from services.dispatch.planning.diff import difference
from services.dispatch.planning.plan import Plan
from services.dispatch.planning.process import solver
from services.dispatch.planning.replanning import moves, replan
from services.dispatch.planning.schedule import assemble
from services.dispatch.planning.schedule.columns import Columns
from tests.property.planning_problems import HOUR, ORDERS, PROBLEMS

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def served(plan: Plan) -> set[str]:
    return {stop.order for route in plan.routes for trip in route.trips for stop in trip.stops}


@QUICK
@given(PROBLEMS)
def test_a_greedy_plan_keeps_every_rule(problem):
    validation.check(problem)
    plan = greedy.solve(problem)
    assert checker.faults(problem, plan) == []
    assert plan.stops + len(plan.unserved) == len(problem.orders)
    assert greedy.solve(problem) == plan


@QUICK
@given(PROBLEMS)
def test_a_searched_plan_keeps_every_rule(problem):
    plan = solver.solve(solver.SolveJob(problem, 60, time.monotonic(), iterations=40))
    assert checker.faults(problem, plan) == []
    assert plan.stops + len(plan.unserved) == len(problem.orders)


@QUICK
@given(PROBLEMS)
def test_rough_trips_keep_every_rule(problem):
    columns = Columns(problem)
    plan = assemble.plan(columns, seeding.trips(columns, Neighbours(columns)), "rough")
    assert [
        fault for fault in checker.faults(problem, plan) if not fault.endswith("is neither planned nor unserved")
    ] == []


@QUICK
@given(PROBLEMS, ORDERS)
def test_a_late_order_fits_as_offered_or_the_plan_is_as_before(problem, late):
    late = replace(late, id="late")
    plan = greedy.solve(problem)
    engine = insertion.Engine(problem, plan)
    offer = engine.offer(late)
    assert engine.plan().routes == plan.routes
    if isinstance(offer, insertion.Offer):
        engine.accept(offer)
        after = engine.plan()
        assert checker.faults(replace(problem, orders=(*problem.orders, late)), after) == []
        change = difference(plan, after)
        spot = next(change.now for change in change.changes if change.order == "late")
        assert (spot.courier, spot.trip, spot.eta_s) == (offer.courier, offer.trip, offer.eta_s)
        assert change.metres == offer.metres
        assert abs(change.cost_fen - offer.cost_fen) <= 1  # both are rounded up
    else:
        assert offer.reason


@QUICK
@given(PROBLEMS, ORDERS)
def test_a_late_order_is_refused_only_if_no_position_keeps_the_rules(problem, late):
    late = replace(late, id="late", prize_fen=None)
    crew = tuple(replace(courier, breaks=()) for courier in problem.couriers)  # else a break might move for it
    problem = replace(problem, couriers=crew, orders=problem.orders[:6])
    plan = greedy.solve(problem)
    if isinstance(insertion.Engine(problem, plan).offer(late), insertion.Offer):
        return
    grown = replace(problem, orders=(*problem.orders, late))
    columns = Columns(grown)
    x, days = columns.number["late"], assemble.days_of(columns, plan)
    for c in range(len(crew)):
        trips = days.get(c, [])
        tries = [[*trips[:n], [x], *trips[n:]] for n in range(len(trips) + 1)]
        tries += [
            [*trips[:n], [*trip[:k], x, *trip[k:]], *trips[n + 1 :]]
            for n, trip in enumerate(trips)
            for k in range(len(trip) + 1)
        ]
        for tried in tries:
            made = assemble.plan(columns, {**days, c: tried}, "tried", plan.unserved, strict=False)
            assert checker.faults(grown, made) != []


@QUICK
@given(PROBLEMS, st.integers(8 * HOUR, 14 * HOUR), st.integers(0, HOUR), st.randoms(use_true_random=False))
def test_a_replan_keeps_what_has_begun_and_loses_nobody(problem, now, delay, r):
    plan = greedy.solve(problem)
    planned = [stop for route in plan.routes for trip in route.trips for stop in trip.stops if stop.eta_s <= now]
    began = {stop.order: min(now, stop.eta_s + r.randint(0, delay)) for stop in planned if r.random() < 0.8}
    future = replan.future(problem, plan, replan.Progress(now, began))
    assert checker.faults(future.problem, future.warm) == []
    after = replan.merged(problem, future.begun, future.warm)
    on_board = {stop.order for route in future.begun for trip in route.trips for stop in trip.stops}
    assert set(began) <= on_board
    assert served(after) | {gone.order for gone in after.unserved} == {order.id for order in problem.orders}
    courier = {stop.order: route.courier for route in plan.routes for trip in route.trips for stop in trip.stops}
    for route in after.routes:
        for trip in route.trips:
            assert all(courier[stop.order] == route.courier for stop in trip.stops if stop.order in on_board)
    missed = " has a break from"  # a break that a delay pushed out of its window is still taken
    assert [f for f in checker.faults(problem, after, on_board) if missed not in f and "after the shift" not in f] == []


@QUICK
@given(PROBLEMS, st.data())
def test_a_move_by_hand_is_checked_priced_and_keeps_the_order_of_stops(problem, data):
    plan = greedy.solve(problem)
    if not plan.stops:
        return
    chosen = data.draw(st.lists(st.sampled_from(sorted(served(plan))), min_size=1, max_size=4, unique=True))
    courier = data.draw(st.sampled_from([courier.id for courier in problem.couriers]))
    moved = moves.move(problem, plan, chosen, courier, 1, new_trip=True)
    before = [stop.order for route in plan.routes for trip in route.trips for stop in trip.stops]
    trip = next(route for route in moved.plan.routes if route.courier == courier).trips[0]
    assert [stop.order for stop in trip.stops] == sorted(chosen, key=before.index)
    assert served(moved.plan) == served(plan)
    assert moved.diff.cost_fen == moved.plan.cost_fen - plan.cost_fen
    assert list(moved.breaches) == checker.faults(problem, moved.plan)
