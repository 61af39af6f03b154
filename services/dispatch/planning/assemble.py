"""Makes a plan of sequences: who drives which orders in which trips."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from services.dispatch.planning import timing
from services.dispatch.planning.model import FEN, Model
from services.dispatch.planning.plan import Plan, Unserved


def plan(model: Model, days: Mapping[int, timing.Trips], planner: str, unserved: Iterable[Unserved] = ()) -> Plan:
    """The plan in which courier number `c` drives `days[c]`; trips without stops are left out.

    Raises ValueError naming the courier whose day can't be timed; loads, skills and zones are not looked at.
    """
    routes, metres, cost = [], 0, 0
    for c, trips in sorted(days.items()):
        driven = [trip for trip in trips if trip]
        if not driven:
            continue
        made = timing.times(model, c, driven)
        if made is None:
            raise ValueError(f"courier {model.couriers[c].id} can't keep its times")
        routes.append(timing.route(model, c, driven, made))
        metres += timing.metres(model, c, driven)
        cost += timing.cost(model, c, driven, made)
    left = tuple(unserved)
    prizes = sum(model.orders[model.number[gone.order]].prize_fen or 0 for gone in left)
    return Plan(tuple(routes), left, metres, planner, (cost + FEN - 1) // FEN + prizes)


def days_of(model: Model, plan: Plan) -> dict[int, list[list[int]]]:
    """The sequences of a plan, by courier number."""
    return {
        model.courier[route.courier]: [[model.number[stop.order] for stop in trip.stops] for trip in route.trips]
        for route in plan.routes
    }
