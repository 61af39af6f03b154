"""Builds a plan from sequences of orders by courier and trip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from services.dispatch.planning.plan import Plan, Route, Unserved
from services.dispatch.planning.problem import RoutingProblem
from services.dispatch.planning.schedule import timing
from services.dispatch.planning.schedule.columns import FEN, Columns


def plan(
    columns: Columns,
    days: Mapping[int, timing.Trips],
    planner: str,
    unserved: Iterable[Unserved] = (),
    strict: bool = True,
) -> Plan:
    """Return the plan in which courier number `c` drives `days[c]`. Trips without stops are dropped.

    Raises ValueError with the courier's id when a day has no valid times; loads, skills and zones are not checked. Not
    `strict`: such a day gets the times that it would have, and the checker reports what is wrong.
    """
    routes = []
    for c, trips in sorted(days.items()):
        driven = [trip for trip in trips if trip]
        if not driven:
            continue
        made = timing.times(columns, c, driven)
        if made is None:
            if strict:
                raise ValueError(f"courier {columns.couriers[c].id} has no valid times for its trips")
            made = timing.earliest(columns, c, driven)
        routes.append(timing.route(columns, c, driven, made))
    return priced(columns, routes, planner, unserved)


def priced(columns: Columns, routes: Iterable[Route], planner: str, unserved: Iterable[Unserved] = ()) -> Plan:
    """Return the plan of these routes with its metres and cost."""
    rows, left = tuple(routes), tuple(unserved)
    days = days_of(columns, Plan(rows, (), 0, ""))
    metres = cost = 0
    for route in rows:
        c = columns.courier[route.courier]
        metres += timing.metres(columns, c, days[c])
        if route.trips:
            leave = route.trips[0].start_s - columns.matrices[c].seconds(columns.starts[c], 0)
            cost += timing.cost(columns, c, days[c], leave, route.trips[-1].end_s)
    prizes = sum(columns.orders[columns.number[gone.order]].prize_fen or 0 for gone in left)
    return Plan(rows, left, metres, planner, -(-cost // FEN) + prizes)


def sort_key(problem: RoutingProblem, plan: Plan) -> tuple[int, ...]:
    """Return the key for comparing plans, less is better: unserved required orders by priority, then the cost."""
    left = {gone.order for gone in plan.unserved}
    missed = [order.priority for order in problem.orders if order.id in left and order.prize_fen is None]
    return *(missed.count(level) for level in range(9, -1, -1)), plan.cost_fen


def days_of(columns: Columns, plan: Plan) -> dict[int, list[list[int]]]:
    """Return the sequences of a plan by courier number."""
    return {
        columns.courier[route.courier]: [[columns.number[stop.order] for stop in trip.stops] for trip in route.trips]
        for route in plan.routes
    }
