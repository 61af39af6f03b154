"""Says what is wrong with a plan. Shares nothing with the planners but the problem, the plan and the matrix port."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from services.dispatch.planning.matrix import Matrix, MatrixPort, great_circle
from services.dispatch.planning.plan import Plan, Trip
from services.dispatch.planning.problem import Courier, Problem


def faults(problem: Problem, plan: Plan, matrix_of: MatrixPort = great_circle) -> list[str]:
    """Every broken rule in words; empty for a plan that may be driven.

    Each order once, planned or unserved with a reason; couriers known and once; loads of each trip, windows, shift;
    times no sooner than driving, loading and serving allow; metres add up.
    """
    matrix = matrix_of([problem.station, *(order.place for order in problem.orders)])
    return [*_census(problem, plan), *_driving(problem, plan, matrix)]


def _census(problem: Problem, plan: Plan) -> Iterator[str]:
    served = [stop.order for route in plan.routes for trip in route.trips for stop in trip.stops]
    seen = Counter([*served, *(left.order for left in plan.unserved)])
    known = {order.id for order in problem.orders}
    yield from (f"order {id} is lost" for id in sorted(known - seen.keys()))
    yield from (f"order {id} is not in the problem" for id in sorted(seen.keys() - known))
    yield from (f"order {id} stands {n} times" for id, n in sorted(seen.items()) if n > 1)
    yield from (f"order {left.order} is unserved without a reason" for left in plan.unserved if not left.reason)
    couriers = Counter(route.courier for route in plan.routes)
    yield from (f"courier {id} has {n} routes" for id, n in sorted(couriers.items()) if n > 1)


def _driving(problem: Problem, plan: Plan, matrix: Matrix) -> Iterator[str]:
    places = {order.id: n for n, order in enumerate(problem.orders, 1)}
    couriers = {courier.id: courier for courier in problem.couriers}
    metres = 0
    for route in plan.routes:
        courier = couriers.get(route.courier)
        if courier is None:
            yield f"courier {route.courier} is not in the problem"
            continue
        free = courier.from_s
        for trip in route.trips:
            walk = [places[stop.order] for stop in trip.stops if stop.order in places]
            steps = zip([0, *walk], [*walk, 0], strict=True)
            metres += sum(matrix.metres[a][b] for a, b in steps)
            if trip.start_s < free:
                yield f"courier {courier.id} starts a trip before the last one is over"
            yield from _trip(problem, courier, trip, walk, matrix)
            free = trip.end_s
        if free > courier.until_s:
            yield f"courier {courier.id} is back {free - courier.until_s} s after the shift"
    if metres != plan.metres:
        yield f"the trips have {metres} m, the plan says {plan.metres}"


def _trip(problem: Problem, courier: Courier, trip: Trip, walk: list[int], matrix: Matrix) -> Iterator[str]:
    orders = [problem.orders[place - 1] for place in walk]
    if not orders:
        yield f"courier {courier.id} has a trip without stops"
    if sum(order.load_g for order in orders) > courier.capacity_g:
        yield f"courier {courier.id} carries more than {courier.capacity_g} g"
    if sum(order.cold_ml for order in orders) > courier.cold_ml:
        yield f"courier {courier.id} has more than {courier.cold_ml} ml in the cold box"
    clock, here = trip.start_s + problem.load_s, 0
    for stop, order, place in zip(trip.stops, orders, walk, strict=False):
        clock += matrix.seconds[here][place]
        if stop.eta_s < clock:
            yield f"order {order.id} is promised {clock - stop.eta_s} s sooner than it can be reached"
        if not order.from_s <= stop.eta_s <= order.until_s:
            yield f"order {order.id} is served outside its window"
        clock, here = max(clock, stop.eta_s) + order.service_s, place
    if trip.end_s < clock + matrix.seconds[here][0]:
        yield f"courier {courier.id} is back sooner than the way takes"
