"""The matrices of a problem as numpy arrays, for the solve process: equal to `matrix` to the last metre and second.

1 000 places take some 50 ms. Imports numpy: not for the service processes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.dispatch.planning.matrix import CITY_M, EARTH_M, ROAD_FACTOR, SPEEDS, points
from services.dispatch.planning.problem import Place, Problem

Ints = NDArray[np.int64]


def arrays(problem: Problem, places: Sequence[Place], profile: str = "van") -> tuple[Ints, Ints]:
    """Metres and seconds, n x n over the places of `matrix.layout`: the given ones, else the estimate."""
    for ways in problem.ways:
        if ways.profile == profile:
            return np.array(ways.metres, np.int64), np.array(ways.seconds, np.int64)
    return estimate(places, profile)


def estimate(places: Sequence[Place], profile: str = "van") -> tuple[Ints, Ints]:
    """What `matrix.Estimate` says of each pair; the same operations in the same order."""
    x, y, z = (np.array(axis) for axis in zip(*points(places), strict=True))
    dx, dy, dz = x[None] - x[:, None], y[None] - y[:, None], z[None] - z[:, None]
    square = dx * dx + dy * dy + dz * dz
    u = square / 4
    arc = np.sqrt(square) * (1 + u * (1 / 6 + u * (3 / 40 + u * (15 / 336 + u * (105 / 3456)))))
    metres = np.ceil(EARTH_M * ROAD_FACTOR * arc)
    city, road = SPEEDS.get(profile, SPEEDS["van"])
    far = np.ceil(CITY_M / city + (metres - CITY_M) / road)
    seconds = np.where(metres <= CITY_M, np.ceil(metres / city), far)
    return metres.astype(np.int64), seconds.astype(np.int64)
