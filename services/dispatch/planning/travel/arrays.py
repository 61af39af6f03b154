"""The matrices of a problem as numpy arrays, for the solver process: equal to `matrix` to the metre and second.

1 000 places take about 30 ms. Imports numpy; not for the service processes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.dispatch.planning.problem import Place, RoutingProblem
from services.dispatch.planning.travel.matrix import CITY_M, EARTH_M, ROAD_FACTOR, SPEEDS, points

Ints = NDArray[np.int64]
ROWS = 32
"""Rows computed at a time: their intermediate results fit the processor's cache."""


def arrays(problem: RoutingProblem, places: Sequence[Place], profile: str = "van") -> tuple[Ints, Ints]:
    """Return metres and seconds, int64 [n, n] over the places of `matrix.layout`: the given ones, else the estimate."""
    for ways in problem.ways:
        if ways.profile == profile:
            return np.array(ways.metres, np.int64), np.array(ways.seconds, np.int64)
    return estimate(places, profile)


def estimate(places: Sequence[Place], profile: str = "van") -> tuple[Ints, Ints]:
    """Return the numbers of `matrix.Estimate` for each pair, by the same operations in the same order."""
    axes = np.array(points(places)).T
    size, (city, road) = len(places), SPEEDS.get(profile, SPEEDS["van"])
    metres, seconds = np.empty((size, size), np.int64), np.empty((size, size), np.int64)
    for first in range(0, size, ROWS):
        rows, rest = slice(first, first + ROWS), slice(first, None)  # symmetric: only the upper half is computed
        dx, dy, dz = (axis[None, rest] - axis[rows, None] for axis in axes)
        square = dx * dx + dy * dy + dz * dz
        u = square / 4
        arc = np.sqrt(square) * (1 + u * (1 / 6 + u * (3 / 40 + u * (15 / 336 + u * (105 / 3456)))))
        way = np.ceil(EARTH_M * ROAD_FACTOR * arc)
        far = np.ceil(CITY_M / city + (way - CITY_M) / road)
        metres[rows, rest] = way
        seconds[rows, rest] = np.where(way <= CITY_M, np.ceil(way / city), far)
        metres[rest, rows], seconds[rest, rows] = metres[rows, rest].T, seconds[rows, rest].T
    return metres, seconds
