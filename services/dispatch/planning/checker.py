"""Independent check of a plan. Shares only the problem, the plan and the matrix port with the planners.

Every time, load, window, shift, break, cold minute, metre and fen is computed again from the stops.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from itertools import pairwise

from services.dispatch.planning.plan import Plan, Route, Trip
from services.dispatch.planning.problem import NO_WAY, Courier, Order, RoutingProblem
from services.dispatch.planning.travel.matrix import Layout, Matrix, layout, matrices


def faults(problem: RoutingProblem, plan: Plan, begun: Collection[str] = ()) -> list[str]:
    """Return every broken rule as text; an empty list for a valid plan.

    Each order once, planned or unserved with a reason; couriers known and once; skills and zones; loads of each trip,
    release, windows, cold minutes, shift, breaks; times no sooner than driving, loading and serving allow; metres and
    cost add up. Times of orders on a `begun` trip are facts and are not checked.
    """
    return [*_census(problem, plan), *_Check(problem, begun).plan(plan)]


def _census(problem: RoutingProblem, plan: Plan) -> Iterator[str]:
    served = [stop.order for route in plan.routes for trip in route.trips for stop in trip.stops]
    seen = Counter([*served, *(left.order for left in plan.unserved)])
    known = {order.id for order in problem.orders}
    yield from (f"order {id} is neither planned nor unserved" for id in sorted(known - seen.keys()))
    yield from (f"order {id} is not in the problem" for id in sorted(seen.keys() - known))
    yield from (f"order {id} is planned {n} times" for id, n in sorted(seen.items()) if n > 1)
    yield from (f"order {left.order} is unserved without a reason" for left in plan.unserved if not left.reason)
    couriers = Counter(route.courier for route in plan.routes)
    yield from (f"courier {id} has {n} routes" for id, n in sorted(couriers.items()) if n > 1)


class _Check:
    def __init__(self, problem: RoutingProblem, begun: Collection[str]) -> None:
        self.problem, self.begun = problem, frozenset(begun)
        self.where: Layout = layout(problem)
        self.matrices = matrices(problem, self.where.places)
        self.orders = {order.id: (n, order) for n, order in enumerate(problem.orders, 1)}
        self.couriers = {courier.id: n for n, courier in enumerate(problem.couriers)}

    def plan(self, plan: Plan) -> Iterator[str]:
        metres, parts = 0, 0  # parts: 1/3 600 000 fen, in which a metre, a second and a fen are whole
        for route in plan.routes:
            if route.courier not in self.couriers:
                yield f"courier {route.courier} is not in the problem"
                continue
            n = self.couriers[route.courier]
            courier = self.problem.couriers[n]
            yield from self._route(n, courier, route)
            way = sum(self._legs(n, k, trip, len(route.trips)) for k, trip in enumerate(route.trips))
            if route.trips:
                matrix = self.matrices[courier.profile]
                begin = route.trips[0].start_s - matrix.seconds(self.where.starts[n], 0)
                way += matrix.metres(self.where.starts[n], 0)
                parts += courier.fen_per_hour * (route.trips[-1].end_s - begin) * 1000 + courier.fen_fixed * 3_600_000
            metres += way
            parts += courier.fen_per_km * way * 3600
        if metres != plan.metres:
            yield f"the trips add up to {metres} m, the plan states {plan.metres}"
        lost = sum(self.orders[u.order][1].prize_fen or 0 for u in plan.unserved if u.order in self.orders)
        cost = -(-parts // 3_600_000) + lost
        if cost != plan.cost_fen:
            yield f"the plan costs {cost} fen, it states {plan.cost_fen}"

    def _legs(self, n: int, k: int, trip: Trip, trips: int) -> int:
        matrix = self.matrices[self.problem.couriers[n].profile]
        walk = [0, *(self.orders[s.order][0] for s in trip.stops if s.order in self.orders), self._home(n, k, trips)]
        return sum(matrix.metres(a, b) for a, b in pairwise(walk))

    def _home(self, n: int, k: int, trips: int) -> int:
        return self.where.ends[n] if k == trips - 1 else 0

    def _route(self, n: int, courier: Courier, route: Route) -> Iterator[str]:
        matrix = self.matrices[courier.profile]
        approach = matrix.seconds(self.where.starts[n], 0)
        free = courier.from_s + approach
        busy = []
        for k, trip in enumerate(route.trips):
            if trip.start_s < free and not self._begun(trip):
                what = "starts a trip before the last one is over" if k else "starts before the shift allows"
                yield f"courier {courier.id} {what}"
            yield from self._trip(courier, trip, self._home(n, k, len(route.trips)), matrix)
            free = trip.end_s
            busy.append((trip.start_s - (0 if k else approach), trip.end_s))
        if free > courier.until_s:
            yield f"courier {courier.id} is back {free - courier.until_s} s after the shift"
        yield from _breaks(courier, route, busy)

    def _trip(self, courier: Courier, trip: Trip, home: int, matrix: Matrix) -> Iterator[str]:
        stops = [(stop, *self.orders[stop.order]) for stop in trip.stops if stop.order in self.orders]
        orders = [order for _, _, order in stops]
        if not orders:
            yield f"courier {courier.id} has a trip without stops"
        yield from _loads(courier, orders)
        yield from () if self._begun(trip) else _releases(trip, orders)
        left = clock = trip.start_s + self.problem.load_s
        here = 0
        for stop, place, order in stops:
            clock += matrix.seconds(here, place)
            if matrix.metres(here, place) >= NO_WAY or matrix.seconds(here, place) >= NO_WAY:
                yield f"order {order.id} can't be reached from the stop before it"
            if order.id not in self.begun:
                yield from _service(order, stop.eta_s, clock, left)
            clock, here = max(clock, stop.eta_s) + order.service_s, place
        if trip.end_s < clock + matrix.seconds(here, home):
            yield f"courier {courier.id} is back earlier than the legs allow"

    def _begun(self, trip: Trip) -> bool:
        return any(stop.order in self.begun for stop in trip.stops)


def _service(order: Order, eta: int, clock: int, left: int) -> Iterator[str]:
    if eta < clock:
        yield f"order {order.id} is promised {clock - eta} s earlier than it can be reached"
    if not any(window.from_s <= eta <= window.until_s for window in order.windows):
        yield f"order {order.id} is served outside its window"
    if order.out_of_cold_s is not None and eta - left > order.out_of_cold_s:
        yield f"order {order.id} is out of the cold for {eta - left} s of {order.out_of_cold_s}"


def _releases(trip: Trip, orders: list[Order]) -> Iterator[str]:
    for order in orders:
        if trip.start_s < order.release_s:
            yield f"order {order.id} is loaded {order.release_s - trip.start_s} s before it is released"


def _loads(courier: Courier, orders: list[Order]) -> Iterator[str]:
    if sum(order.load_g for order in orders) > courier.capacity_g:
        yield f"courier {courier.id} carries more than {courier.capacity_g} g"
    if sum(order.cold_ml for order in orders) > courier.cold_ml:
        yield f"courier {courier.id} has more than {courier.cold_ml} ml in the cold box"
    for order in orders:
        if lacking := sorted(set(order.skills) - set(courier.skills)):
            yield f"courier {courier.id} lacks {', '.join(lacking)} for order {order.id}"
        if courier.zones and order.zone and order.zone not in courier.zones:
            yield f"order {order.id} is in zone {order.zone}, which courier {courier.id} does not serve"


def _breaks(courier: Courier, route: Route, busy: list[tuple[int, int]]) -> Iterator[str]:
    if len(route.breaks) != len(courier.breaks):
        yield f"courier {courier.id} has {len(route.breaks)} breaks of {len(courier.breaks)}"
        return
    taken = [(rest.start_s, rest.end_s) for rest in route.breaks]
    for (start, end), due in zip(taken, courier.breaks, strict=True):
        if start < max(due.from_s, courier.from_s) or end > due.until_s or end - start < due.length_s:
            yield f"courier {courier.id} has a break from {start} to {end}, outside its window or too short"
    spans = sorted([*busy, *taken])
    if any(a[1] > b[0] for a, b in pairwise(spans) if a in taken or b in taken):
        yield f"courier {courier.id} has a break during a trip or another break"
