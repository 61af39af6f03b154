"""Distances and travel times between the places of a problem: given ones, or an estimate that needs no map.

The estimate: great-circle distance on a sphere of 6 371 km times a road factor of 1.35; the first 10 km of a leg at
city speed, the rest at country-road speed. Both are metrics: a detour is never shorter or faster. Only basic
arithmetic is used, in an order that `arrays` repeats in numpy, so that both give the same integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from math import ceil, cos, radians, sin, sqrt
from typing import Protocol

from services.dispatch.planning.problem import Courier, Order, Place, RoutingProblem, TravelTimes

EARTH_M, ROAD_FACTOR = 6_371_000, 1.35
CITY_M = 10_000
SPEEDS = {"van": (7, 18), "tricycle": (5, 8), "bike": (4, 4)}
"""Metres a second by profile: the first `CITY_M` of a leg, and the rest of it. An unknown profile counts as a van."""


class Row(Protocol):
    """Metres between one place and each other place."""

    def __getitem__(self, place: int, /) -> int:
        """Return the metres for one of them."""


class Matrix(Protocol):
    """Whole metres and seconds of the leg from place `a` to place `b` of a `Layout`."""

    def metres(self, a: int, b: int) -> int:
        """Return the length of the leg."""

    def seconds(self, a: int, b: int) -> int:
        """Return the duration of the leg."""

    def out(self, a: int) -> Row:
        """Return the metres from `a` to each place."""

    def into(self, b: int) -> Row:
        """Return the metres from each place to `b`."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The numbered places of a problem: 0 the station, i the i-th order (from 1), then couriers' own places.

    `starts` and `ends` are the place numbers of each courier; 0 is the station.
    """

    places: tuple[Place, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]


def layout(problem: RoutingProblem) -> Layout:
    """Number the places. Couriers' own places that are equal share a number."""
    places = [problem.station, *(order.place for order in problem.orders)]
    number: dict[Place | None, int] = {None: 0, problem.station: 0}
    for courier in problem.couriers:
        for own in (courier.start, courier.end):
            if own not in number and own is not None:
                number[own] = len(places)
                places.append(own)
    couriers = problem.couriers
    return Layout(tuple(places), tuple(number[c.start] for c in couriers), tuple(number[c.end] for c in couriers))


def matrices(problem: RoutingProblem, places: Sequence[Place]) -> dict[str, Matrix]:
    """Return the matrix of each courier's profile: the given one, else the estimate."""
    given: dict[str, Matrix] = {ways.profile: Table(ways.metres, ways.seconds) for ways in problem.ways}
    profiles = sorted({courier.profile for courier in problem.couriers} | {"van"})
    estimate = Estimate(places)
    return {profile: given.get(profile) or estimate.by(profile) for profile in profiles}


def narrowed(problem: RoutingProblem, orders: Sequence[Order], couriers: Sequence[Courier]) -> RoutingProblem:
    """Return the problem with only these of its orders, and these couriers, which start and end at places of the
    problem. Given travel times are cut to them."""
    small = replace(problem, orders=tuple(orders), couriers=tuple(couriers), ways=())
    if not problem.ways:
        return small
    number = {order.id: n for n, order in enumerate(problem.orders, 1)}
    before = layout(problem).places
    own = {place: n for n, place in enumerate(before) if n > len(problem.orders)}
    rest = layout(small).places[len(orders) + 1 :]
    old = [0, *(number[order.id] for order in orders), *(own[place] for place in rest)]
    cut = [
        TravelTimes(
            ways.profile,
            [[ways.metres[a][b] for b in old] for a in old],
            [[ways.seconds[a][b] for b in old] for a in old],
        )
        for ways in problem.ways
    ]
    return replace(small, ways=tuple(cut))


@dataclass(frozen=True, slots=True)
class Table:
    """A matrix of given numbers, n x n."""

    rows_m: list[list[int]]
    rows_s: list[list[int]]

    def metres(self, a: int, b: int) -> int:
        return self.rows_m[a][b]

    def seconds(self, a: int, b: int) -> int:
        return self.rows_s[a][b]

    def out(self, a: int) -> Row:
        return self.rows_m[a]

    def into(self, b: int) -> Row:
        return [row[b] for row in self.rows_m]


class Estimate:
    """The estimate described above, computed on demand (seconds are cached); symmetric."""

    def __init__(self, places: Sequence[Place], profile: str = "van") -> None:
        self.points = points(places)
        self._travel(profile)

    def _travel(self, profile: str) -> None:
        self.city, self.road = SPEEDS.get(profile, SPEEDS["van"])
        self._seconds: dict[tuple[int, int], int] = {}

    def by(self, profile: str) -> Estimate:
        """Return the estimate of the same places for another profile. Places added to one are in both."""
        other = copy(self)
        other._travel(profile)
        return other

    def metres(self, a: int, b: int) -> int:
        x, y, z = self.points[a]
        x2, y2, z2 = self.points[b]
        x, y, z = x2 - x, y2 - y, z2 - z
        return road_m(x * x + y * y + z * z)

    def seconds(self, a: int, b: int) -> int:
        key = (a, b)
        kept = self._seconds.get(key)
        if kept is not None:
            return kept
        metres = self.metres(a, b)
        far = metres > CITY_M
        found = ceil(CITY_M / self.city + (metres - CITY_M) / self.road) if far else ceil(metres / self.city)
        self._seconds[key] = found
        return found

    def out(self, a: int) -> Row:
        return _Lazy(self, a)

    into = out

    def row(self, a: int) -> list[int]:
        """Return the metres between `a` and every place (`road_m` of each, inlined for speed)."""
        x, y, z = self.points[a]
        scale, metres = EARTH_M * ROAD_FACTOR, []
        for p, q, r in self.points:
            p, q, r = p - x, q - y, r - z
            square = p * p + q * q + r * r
            u = square / 4
            arc = sqrt(square) * (1 + u * (1 / 6 + u * (3 / 40 + u * (15 / 336 + u * (105 / 3456)))))
            metres.append(ceil(scale * arc))
        return metres

    def grow(self, place: Place) -> None:
        """Add a place, numbered behind the others."""
        self.points.extend(points([place]))


class _Lazy(dict[int, int]):
    """Metres from one place, computed at the first access."""

    def __init__(self, estimate: Estimate, a: int) -> None:
        self.estimate, self.a = estimate, a

    def __missing__(self, b: int) -> int:
        found = self[b] = self.estimate.metres(self.a, b)
        return found


def points(places: Sequence[Place]) -> list[tuple[float, float, float]]:
    """Return the places as unit vectors."""
    angles = [(radians(place.lat), radians(place.lon)) for place in places]
    return [(cos(lat) * cos(lon), cos(lat) * sin(lon), sin(lat)) for lat, lon in angles]


def road_m(square: float) -> int:
    """Return the road metres between two unit vectors from the square of their distance.

    The arc is twice the arcsine of half the chord, by its series (exact to a metre within 3 000 km).
    """
    u = square / 4
    arc = sqrt(square) * (1 + u * (1 / 6 + u * (3 / 40 + u * (15 / 336 + u * (105 / 3456)))))
    return ceil(EARTH_M * ROAD_FACTOR * arc)
