"""A plan that stands while its problem changes: orders are cancelled, others come late, couriers start driving."""

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
"""The planner's name in plans that took late orders up."""
Answers = tuple[Offer | Unserved, ...]


def served(plan: Plan) -> set[str]:
    """The orders that the plan brings."""
    return {stop.order for route in plan.routes for trip in route.trips for stop in trip.stops}


def drop_removed(problem: RoutingProblem, plan: Plan) -> Plan:
    """The plan without the orders and couriers that the problem no longer has, timed anew. Times that can't be kept any
    more are told as they would come, for the checker to name; so are orders that have lost their courier."""
    columns, known = Columns(problem), _known(problem, plan)
    return assemble.plan(columns, assemble.days_of(columns, known), plan.planner, known.unserved, strict=False)


def carry_reasons(before: Plan, after: Plan) -> Plan:
    """The plan `after`, with the reasons of what the one before had left out already."""
    told = served(after) | {gone.order for gone in after.unserved}
    return replace(after, unserved=(*(gone for gone in before.unserved if gone.order not in told), *after.unserved))


def insert_late(problem: RoutingProblem, plan: Plan, late: Collection[str], now_s: int) -> tuple[Plan, Answers]:
    """The plan with the orders `late` in it, as far as they fit, and what to tell each, in the order of the problem.

    Trips whose loading has begun stay as they are. What the plan can't keep any more (a shift became shorter, a courier
    is gone) is fitted in anew before the late ones, or left out with the reason: every order of the problem is planned
    or unserved. Raises RuntimeError where the checker finds a fault.
    """
    early = narrowed(problem, [order for order in problem.orders if order.id not in late], problem.couriers)
    ahead = replan.future(early, _known(early, plan), replan.Progress(now_s, {}))
    asking = [order for order in problem.orders if order.id in late]
    whole = narrowed(problem, [*ahead.problem.orders, *asking], ahead.problem.couriers)
    engine = Engine(whole, ahead.warm)
    told = tuple(engine.insert(order) for order in asking)
    made = replan.merged(problem, ahead.begun, replace(engine.plan(), planner=INSERTED))
    begun = [stop.order for route in ahead.begun for trip in route.trips for stop in trip.stops]
    if wrong := checker.faults(problem, made, begun):
        raise RuntimeError(f"late orders made a faulty plan: {wrong[0]}")
    return made, told


def _known(problem: RoutingProblem, plan: Plan) -> Plan:
    """The orders and couriers of the plan that the problem still has, at the times that the plan gave them."""
    ids, crew = {order.id for order in problem.orders}, {courier.id for courier in problem.couriers}
    routes = []
    for route in (route for route in plan.routes if route.courier in crew):
        trips = [replace(trip, stops=tuple(stop for stop in trip.stops if stop.order in ids)) for trip in route.trips]
        routes.append(replace(route, trips=tuple(trip for trip in trips if trip.stops)))
    return replace(plan, routes=tuple(routes), unserved=tuple(gone for gone in plan.unserved if gone.order in ids))
