"""Distances and travel times between places: the port, and the estimate that needs no map.

Great-circle distance (haversine on a sphere of 6 371 km) times a road factor of 1.35; the first 10 km of a way at
city speed, what is beyond at country-road speed. Both are metrics: a detour is never shorter or faster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import asin, ceil, cos, radians, sin, sqrt

from services.dispatch.planning.problem import Place

EARTH_M, ROAD_FACTOR = 6_371_000, 1.35
CITY_M, CITY_MPS, ROAD_MPS = 10_000, 7, 18


@dataclass(frozen=True, slots=True)
class Matrix:
    """Whole metres and seconds from each place to each, in the order of the places given."""

    metres: list[list[int]]
    seconds: list[list[int]]


MatrixPort = Callable[[Sequence[Place]], Matrix]


def great_circle(places: Sequence[Place]) -> Matrix:
    """The estimate described above; symmetric, n x n for n places."""
    points = [(radians(p.lat), radians(p.lon), cos(radians(p.lat))) for p in places]
    metres = [[0] * len(points) for _ in points]
    for i, (lat, lon, c) in enumerate(points):
        row = metres[i]
        for j in range(i):
            lat2, lon2, c2 = points[j]
            h = sin((lat2 - lat) / 2) ** 2 + c * c2 * sin((lon2 - lon) / 2) ** 2
            row[j] = metres[j][i] = ceil(2 * EARTH_M * ROAD_FACTOR * asin(sqrt(min(1.0, h))))
    return Matrix(metres, [[_seconds(m) for m in row] for row in metres])


def _seconds(metres: int) -> int:
    return ceil(min(metres, CITY_M) / CITY_MPS + max(0, metres - CITY_M) / ROAD_MPS)
