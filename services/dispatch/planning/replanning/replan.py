"""Replans while couriers drive: trips that have begun stay, only the future is planned.

A trip has begun when its loading has, by the plan or by the courier's report. Its bags stay on board, stops that are or
were served stay where they are, and the same courier drives the rest of it. The courier is free again at its expected
end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

from services.dispatch.planning.construct import greedy
from services.dispatch.planning.plan import Plan, Rest, Route, Stop, Trip
from services.dispatch.planning.problem import Break, Courier, RoutingProblem
from services.dispatch.planning.schedule import assemble, timing
from services.dispatch.planning.schedule.columns import FOREVER, Columns
from services.dispatch.planning.travel.matrix import narrowed


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of the day: `began` holds the actual begin of service of each stop that is or was served."""

    now_s: int
    began: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Future:
    """The part of the day that is still to be planned.

    `problem` has the orders that are on no begun trip, and the couriers from the time when they are free. `begun` are
    the trips that stay, with new expected times. `warm` is a plan of `problem` that keeps of the old plan's future all
    that is still possible.
    """

    problem: RoutingProblem
    begun: tuple[Route, ...]
    warm: Plan
    late: tuple[str, ...]
    """Orders on board that will be served after their window; no other courier can serve them earlier."""


def future(problem: RoutingProblem, plan: Plan, progress: Progress) -> Future:
    """Split the plan at `progress`. Stops on board change their sequence only when that makes fewer of them late."""
    columns, now = Columns(problem), progress.now_s
    begun = {route.courier: _begun(columns, route, progress) for route in plan.routes}
    kept = {stop.order for route in begun.values() for trip in route.trips for stop in trip.stops}
    couriers = [_from_now(columns, c, begun.get(courier.id), now) for c, courier in enumerate(problem.couriers)]
    left = narrowed(problem, [order for order in problem.orders if order.id not in kept], couriers)
    ahead = Columns(left)
    days: dict[int, list[list[int]]] = {}
    for route in plan.routes:
        c = columns.courier[route.courier]
        trips = [[ahead.number[stop.order] for stop in trip.stops if stop.order not in kept] for trip in route.trips]
        days[c] = [trip for trip in trips if trip]
        while days[c] and not timing.times(ahead, c, days[c]):
            days[c].pop()  # a delayed day gives its trips to others, the last one first
    stay = tuple(route for route in begun.values() if route.trips or route.breaks)
    stops = [stop for route in stay for trip in route.trips for stop in trip.stops]
    late = sorted(stop.order for stop in stops if _late(columns, columns.number[stop.order], stop.eta_s))
    return Future(left, stay, greedy.complete(ahead, days, "kept"), tuple(late))


def merged(problem: RoutingProblem, begun: Sequence[Route], planned: Plan) -> Plan:
    """Return the plan of the whole day: the begun trips and the planned ones."""
    columns = Columns(problem)
    ahead = {route.courier: route for route in planned.routes}
    routes = []
    for route in begun:
        after = ahead.pop(route.courier, None)
        if after is None and not route.trips:
            continue  # only a break
        if after is None:
            routes.append(_homeward(columns, route))
        else:
            routes.append(Route(route.courier, (*route.trips, *after.trips), (*route.breaks, *after.breaks)))
    order = {courier.id: c for c, courier in enumerate(problem.couriers)}
    routes = sorted([*routes, *ahead.values()], key=lambda route: order[route.courier])
    return assemble.priced(columns, routes, planned.planner, planned.unserved)


def _begun(columns: Columns, route: Route, progress: Progress) -> Route:
    """Return the route's begun trips with their expected times, the last one back at the station, and its begun
    breaks."""
    c, trips, free = columns.courier[route.courier], [], 0
    for trip in route.trips:
        reported = any(stop.order in progress.began for stop in trip.stops)
        if not reported and (trip.start_s > progress.now_s or free > progress.now_s):
            break
        trips.append(_timed(columns, c, trip, [stop.order for stop in trip.stops], progress))
        if _lateness(columns, trips[-1]):
            trips[-1] = _reordered(columns, c, trips[-1], progress)
        free = trips[-1].end_s
    breaks = [rest for rest in route.breaks if rest.start_s <= progress.now_s]
    if trips and len(trips) == len(route.trips):
        free = _homeward(columns, Route(route.courier, tuple(trips))).trips[-1].end_s
    if trips:  # a trip that takes longer puts off the break behind it, and with it those that follow
        last = trips[-1].start_s
        delayed = (n for n, rest in enumerate(breaks) if last <= rest.start_s < free)
        breaks = breaks[: next(delayed, len(breaks))]
    return Route(route.courier, tuple(trips), tuple(breaks))


def _homeward(columns: Columns, route: Route) -> Route:
    """Return the route of a courier who goes home after its begun trips and then takes its remaining breaks."""
    c, last = columns.courier[route.courier], route.trips[-1]
    place, seconds = columns.number[last.stops[-1].order], columns.matrices[c].seconds
    clock = last.end_s + seconds(place, columns.ends[c]) - seconds(place, 0)
    trips, breaks = (*route.trips[:-1], replace(last, end_s=clock)), list(route.breaks)
    for due in columns.couriers[c].breaks[len(breaks) :]:
        clock = max(clock, due.from_s)
        breaks.append(Rest(clock, clock + due.length_s))
        clock += due.length_s
    return Route(route.courier, trips, tuple(breaks))


def _timed(columns: Columns, c: int, trip: Trip, orders: Sequence[str], progress: Progress) -> Trip:
    seconds, here, clock, stops = columns.matrices[c].seconds, 0, trip.start_s + columns.problem.load_s, []
    for id in orders:
        place = columns.number[id]
        clock += seconds(here, place)
        opens = columns.opening(place, clock)
        expected = max(opens if opens < FOREVER else clock, progress.now_s)
        clock = progress.began.get(id, expected)
        stops.append(Stop(id, clock))
        clock, here = clock + columns.service[place], place
    return Trip(trip.start_s, clock + seconds(here, 0), tuple(stops))


def _reordered(columns: Columns, c: int, trip: Trip, progress: Progress) -> Trip:
    """Return the trip with single stops moved, as long as that makes it less late."""
    fixed = sum(stop.order in progress.began for stop in trip.stops)
    best, better = trip, True
    while better:
        better = False
        orders = [stop.order for stop in best.stops]
        for a, b in permutations(range(fixed, len(orders)), 2):
            moved = [*orders[:a], *orders[a + 1 :]]
            made = _timed(columns, c, trip, [*moved[:b], orders[a], *moved[b:]], progress)
            if (_lateness(columns, made), made.end_s) < (_lateness(columns, best), best.end_s):
                best, better = made, True
    return best


def _lateness(columns: Columns, trip: Trip) -> int:
    return sum(_late(columns, columns.number[stop.order], stop.eta_s) for stop in trip.stops)


def _late(columns: Columns, place: int, eta: int) -> int:
    return max(0, eta - max((last for _, last in columns.windows[place]), default=eta))


def _from_now(columns: Columns, c: int, begun: Route | None, now: int) -> Courier:
    """Return the courier for the rest of the day: free at its expected return, with its remaining breaks."""
    courier = columns.couriers[c]
    taken = begun.breaks if begun else ()
    on_way = begun is not None and bool(begun.trips)
    free = max([courier.from_s, now, *(rest.end_s for rest in taken)])
    if begun is not None and begun.trips:
        free = max(free, begun.trips[-1].end_s)
    breaks = [
        Break(max(rest.from_s, free), max(rest.until_s, free + rest.length_s), rest.length_s)
        for rest in courier.breaks[len(taken) :]
    ]
    return replace(
        courier,
        from_s=free,
        start=None if on_way else courier.start,
        breaks=tuple(breaks),
        fen_fixed=0 if on_way else courier.fen_fixed,
    )
