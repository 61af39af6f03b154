"""A plan as a picture (SVG) without a map: the station, each trip, the stops with their times, a legend.

Trips are drawn as straight lines. North is up; equal lengths are equal in all directions at the station's latitude. A
time that would cover another one is only in the tooltip of its stop.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from math import cos, radians

from services.dispatch.planning.construct.reasons import clock
from services.dispatch.planning.plan import Plan, Route
from services.dispatch.planning.problem import Place, RoutingProblem
from services.dispatch.planning.schedule.columns import Columns

WIDTH, HEIGHT, MARGIN, LEGEND, ROW = 1000, 800, 50, 420, 18
_COLOURS = (
    "#1b6ca8",
    "#c1440e",
    "#2e7d32",
    "#7b1fa2",
    "#b8860b",
    "#00838f",
    "#ad1457",
    "#4e342e",
    "#5c6bc0",
    "#558b2f",
)
_DASHES = ("", "8 4", "2 4", "10 3 2 3")
_M_PER_DEGREE = 111_195
_RED = "#d32f2f"


def svg(problem: RoutingProblem, plan: Plan) -> str:
    """Return the picture as text of an SVG file."""
    frame = _Frame(problem)
    body = [*_station(problem, frame), *_routes(problem, plan, frame), *_lost(problem, plan, frame), *frame.scale()]
    legend = list(_legend(problem, plan))
    height = max(HEIGHT, 2 * MARGIN + ROW * len(legend))
    text = (f'<text x="{WIDTH}" y="{MARGIN + ROW * n}" {line}' for n, line in enumerate(legend))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + LEGEND} {height}" '
            'font-family="sans-serif" font-size="11">',
            '<rect width="100%" height="100%" fill="#fafaf7"/>',
            *body,
            *text,
            "</svg>\n",
        ]
    )


class _Frame:
    """Projection of places to the picture, and the spots that labels occupy."""

    def __init__(self, problem: RoutingProblem) -> None:
        own = [place for courier in problem.couriers for place in (courier.start, courier.end) if place]
        places = [problem.station, *(order.place for order in problem.orders), *own]
        self.squeeze = cos(radians(problem.station.lat))
        xs, ys = [place.lon * self.squeeze for place in places], [place.lat for place in places]
        self.left, self.top = min(xs), max(ys)
        span = max((max(xs) - min(xs)) / (WIDTH - 2 * MARGIN), (max(ys) - min(ys)) / (HEIGHT - 2 * MARGIN), 1e-6)
        self.degrees = span  # of latitude to a unit of the picture
        self.taken: list[tuple[float, float]] = []

    def spot(self, place: Place) -> tuple[float, float]:
        x = MARGIN + (place.lon * self.squeeze - self.left) / self.degrees
        return round(x, 1), round(MARGIN + (self.top - place.lat) / self.degrees, 1)

    def label(self, x: float, y: float, text: str) -> Iterator[str]:
        for dx, dy in ((6, -3), (6, 10), (-32, -3), (-32, 10)):
            if all(abs(x + dx - u) > 28 or abs(y + dy - v) > 9 for u, v in self.taken):
                self.taken.append((x + dx, y + dy))
                yield f'<text font-size="9" x="{x + dx:.1f}" y="{y + dy:.1f}">{text}</text>'
                return

    def scale(self) -> Iterator[str]:
        metre = 1 / (self.degrees * _M_PER_DEGREE)
        km = next((km for km in (50, 20, 10, 5, 2, 1) if km * 1000 * metre < WIDTH / 3), 1)
        y, end = HEIGHT - 15, MARGIN + km * 1000 * metre
        yield f'<path d="M{MARGIN} {y - 4}v8M{MARGIN} {y}H{end:.1f}m0 -4v8" stroke="#222" fill="none"/>'
        yield f'<text x="{end + 6:.1f}" y="{y + 4}">{km} km</text>'


def _routes(problem: RoutingProblem, plan: Plan, frame: _Frame) -> Iterator[str]:
    places = {order.id: order.place for order in problem.orders}
    couriers = {courier.id: courier for courier in problem.couriers}
    stops = []
    for n, route in enumerate(plan.routes):
        colour, courier = _colour(n), couriers[route.courier]
        for k, trip in enumerate(route.trips):
            last = k == len(route.trips) - 1
            home = courier.end if last and courier.end else problem.station
            first = [courier.start] if k == 0 and courier.start else []
            way = [*first, problem.station, *(places[stop.order] for stop in trip.stops), home]
            line = " ".join(f"{x},{y}" for x, y in map(frame.spot, way))
            dash = _DASHES[k % len(_DASHES)]
            yield f'<polyline fill="none" stroke-width="2" {_stroke(colour, dash)} points="{line}"/>'
            stops += [(colour, route.courier, k + 1, stop) for stop in trip.stops]
    for colour, who, trip_n, stop in stops:
        x, y = frame.spot(places[stop.order])
        tooltip = escape(f"{stop.order}: courier {who}, trip {trip_n}, {clock(stop.eta_s)}")
        yield f'<circle cx="{x}" cy="{y}" r="3.5" fill="{colour}"><title>{tooltip}</title></circle>'
        yield from frame.label(x, y, clock(stop.eta_s)[-5:])


def _lost(problem: RoutingProblem, plan: Plan, frame: _Frame) -> Iterator[str]:
    places = {order.id: order.place for order in problem.orders}
    for gone in plan.unserved:
        if gone.order in places:
            x, y = frame.spot(places[gone.order])
            tooltip = escape(f"{gone.order}: {gone.reason}")
            cross = f"M{x - 4} {y - 4}l8 8m-8 0l8 -8"
            yield f'<path stroke="{_RED}" stroke-width="2.5" d="{cross}"><title>{tooltip}</title></path>'


def _station(problem: RoutingProblem, frame: _Frame) -> Iterator[str]:
    x, y = frame.spot(problem.station)
    frame.taken.append((x + 10, y + 4))
    yield f'<rect x="{x - 7}" y="{y - 7}" width="14" height="14" fill="#222"><title>station</title></rect>'
    yield f'<text font-weight="bold" x="{x + 10}" y="{y + 4}">station</text>'


def _legend(problem: RoutingProblem, plan: Plan) -> Iterator[str]:
    columns = Columns(problem)
    sums = f"{plan.stops} stops, {plan.metres / 1000:.1f} km, {plan.cost_fen / 100:.2f} yuan, by {plan.planner}"
    yield f'font-weight="bold">{escape(sums)}</text>'
    for n, route in enumerate(plan.routes):
        yield from _courier(columns, route, _colour(n))
    if plan.unserved:
        yield f'font-weight="bold" fill="{_RED}">{len(plan.unserved)} not served</text>'
        yield from (f">{escape(f'{gone.order}: {gone.reason}'[:75])}</text>" for gone in plan.unserved[:25])


def _courier(columns: Columns, route: Route, colour: str) -> Iterator[str]:
    yield f'font-weight="bold" fill="{colour}">courier {escape(route.courier)}</text>'
    for n, trip in enumerate(route.trips, 1):
        orders = [columns.orders[columns.number[stop.order]] for stop in trip.stops]
        kg, litres = sum(o.load_g for o in orders) / 1000, sum(o.cold_ml for o in orders) / 1000
        hours = f"{clock(trip.start_s)[-5:]}-{clock(trip.end_s)[-5:]}"
        yield f'dx="10">trip {n}: {hours}, {len(orders)} stops, {kg:.1f} kg, {litres:.1f} l cold</text>'
    for rest in route.breaks:
        yield f'dx="10">break {clock(rest.start_s)[-5:]}-{clock(rest.end_s)[-5:]}</text>'


def _colour(n: int) -> str:
    return _COLOURS[n % len(_COLOURS)]


def _stroke(colour: str, dash: str) -> str:
    return f'stroke="{colour}" stroke-opacity="0.75"' + (f' stroke-dasharray="{dash}"' if dash else "")
