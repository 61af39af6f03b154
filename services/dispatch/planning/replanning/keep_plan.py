"""Keeps a plan while its problem changes: orders are cancelled or arrive late, couriers start driving."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from services.dispatch.planning import checker
from services.dispatch.planning.construct.insertion import Engine, Offer
from services.dispatch.planning.plan import Plan, Unserved
from services.dispatch.planning.problem import RoutingProblem
from services.dispatch.planning.replanning import replan
from services.dispatch.planning.schedule import assemble
from services.dispatch.planning.schedule.columns import Columns
from services.dispatch.planning.travel.matrix import narrowed

INSERTED = "insertion"
"""The planner's name in plans with late orders."""
Answers = tuple[Offer | Unserved, ...]


def served(plan: Plan) -> set[str]:
    """Return the orders that the plan serves."""
    return {stop.order for route in plan.routes for trip in route.trips for stop in trip.stops}


def drop_removed(problem: RoutingProblem, plan: Plan) -> Plan:
    """Return the plan without the orders and couriers that the problem no longer has, with its times computed again.

    Times that break a rule now stay in the plan for the checker to report, as do orders without a courier.
    """
    columns, known = Columns(problem), _known(problem, plan)
    return assemble.plan(columns, assemble.days_of(columns, known), plan.planner, known.unserved, strict=False)


def carry_reasons(before: Plan, after: Plan) -> Plan:
    """Return the plan `after` with the reasons of orders that were unserved before and are in neither list of it."""
    known = served(after) | {gone.order for gone in after.unserved}
    return replace(after, unserved=(*(gone for gone in before.unserved if gone.order not in known), *after.unserved))


def insert_late(problem: RoutingProblem, plan: Plan, late: Collection[str], now_s: int) -> tuple[Plan, Answers]:
    """Return the plan with the orders `late` inserted where they fit, and the answers in the problem's order.

    Trips of which loading has begun stay as they are. Orders that the plan can't keep (a shift became shorter, a
    courier left) are inserted again before the late ones, or become unserved with the reason: every order of the
    problem is planned or unserved. Raises RuntimeError when the checker finds a fault.
    """
    early = narrowed(problem, [order for order in problem.orders if order.id not in late], problem.couriers)
    ahead = replan.future(early, _known(early, plan), replan.Progress(now_s, {}))
    late_orders = [order for order in problem.orders if order.id in late]
    whole = narrowed(problem, [*ahead.problem.orders, *late_orders], ahead.problem.couriers)
    engine = Engine(whole, ahead.warm)
    answers = tuple(engine.insert(order) for order in late_orders)
    made = replan.merged(problem, ahead.begun, replace(engine.plan(), planner=INSERTED))
    begun = [stop.order for route in ahead.begun for trip in route.trips for stop in trip.stops]
    if faults := checker.faults(problem, made, begun):
        raise RuntimeError(f"inserting late orders made an invalid plan: {faults[0]}")
    return made, answers


def _known(problem: RoutingProblem, plan: Plan) -> Plan:
    """Return the plan without orders and couriers that the problem no longer has, at the times of the plan."""
    ids, crew = {order.id for order in problem.orders}, {courier.id for courier in problem.couriers}
    routes = []
    for route in (route for route in plan.routes if route.courier in crew):
        trips = [replace(trip, stops=tuple(stop for stop in trip.stops if stop.order in ids)) for trip in route.trips]
        routes.append(replace(route, trips=tuple(trip for trip in trips if trip.stops)))
    return replace(plan, routes=tuple(routes), unserved=tuple(gone for gone in plan.unserved if gone.order in ids))
