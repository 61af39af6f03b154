"""Ruin and recreate on a fleet: a search that can be begun from given days, heated, cooled and asked for its best.

Days are lists of trips by vehicle, trips lists of orders: `{vehicle: [[order, ...], ...]}`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from services.dispatch.planning.search.kernel.fleet import Fleet
from services.dispatch.planning.search.kernel.ruin import anneal, complete, fill
from services.dispatch.planning.search.kernel.tours import HEAD, NEXT, Tours, copy, empty

Days = dict[int, list[list[int]]]
HOT, WARM, COLD = 0.5, 0.1, 0.05
"""Heat at the beginning of the cooling, the same from days that are good already, and at its end, in costs of an
average way."""
VEHICLE = 0.5
"""Heat at the beginning, at least, in costs of using a vehicle: else none is ever saved."""
MEAN = 10.0
"""Orders taken out at a time."""
SLICE_S = 0.003
"""The clock is looked at so often."""


class Search:
    """Tours of one fleet. Equal seeds and numbers of rounds give equal tours."""

    def __init__(self, fleet: Fleet, seed: int, days: Days | None = None) -> None:
        self.fleet = fleet
        self.now, self.trial, self.best = (empty(fleet) for _ in range(3))
        self.rng = np.array([(seed + 1) * 0x9E3779B97F4A7C15 % 2**64 or 1], np.uint64)
        self.rounds = 0
        self._pace = 20.0  # rounds in a slice
        if days:
            fill(fleet, self.now, _rows(days))
        complete(fleet, self.now, self.rng)
        copy(self.now, self.trial)
        copy(self.now, self.best)

    @property
    def cost(self) -> int:
        """Of the best tours, with what leaving orders out costs."""
        return int(self.best.sums[0])

    @property
    def warmth(self) -> float:
        """The cost of an average way in the best tours."""
        n = self.fleet.orders
        trips = len(self.best.trip) - int(self.best.sums[2])
        out = self.best.out[: int(self.best.sums[1])]
        return max(1.0, (self.cost - float(self.fleet.absent[out].sum())) / max(1, n - len(out) + trips))

    def heats(self, good: bool) -> tuple[float, float]:
        """Heat to begin and to end with; `good`: the days that it was begun from are worth keeping."""
        hot = WARM * self.warmth if good else max(HOT * self.warmth, VEHICLE * float(self.fleet.once.mean()))
        return hot, COLD * self.warmth

    def cool(self, hot: float, cold: float, done: Callable[[], float]) -> None:
        """Anneals while `done` (the part of the time that is over) is below 1, from heat `hot` to `cold`."""
        while (part := done()) < 1:
            began = time.perf_counter()
            rounds = max(1, int(self._pace))
            self.turn(rounds, hot * (cold / hot) ** max(0.0, part))
            took = time.perf_counter() - began
            self._pace = min(2 * self._pace, rounds * SLICE_S / max(took, 1e-6))

    def cool_rounds(self, hot: float, cold: float, rounds: int, steps: int = 100) -> None:
        """Anneals for a number of rounds, whatever time it takes."""
        for step in range(steps):
            share = rounds * (step + 1) // steps - rounds * step // steps
            self.turn(share, hot * (cold / hot) ** (step / steps))

    def turn(self, rounds: int, heat: float) -> None:
        """Rounds at one heat."""
        anneal(self.fleet, self.now, self.trial, self.best, self.rng, rounds, heat, MEAN)
        self.rounds += rounds

    def days(self) -> Days:
        """The best tours; vehicles without a trip are left out."""
        return days_of(self.best)


def days_of(tours: Tours) -> Days:
    """The tours as lists."""
    follows, heads = tours.order[:, NEXT].tolist(), tours.trip[:, HEAD].tolist()
    days: Days = {}
    for v, count in enumerate(tours.count.tolist()):
        for t in tours.trips[v, :count].tolist():
            i, trip = heads[t], []
            while i:
                trip.append(i)
                i = follows[i]
            days.setdefault(v, []).append(trip)
    return days


def _rows(days: Days) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    rows = [(v, j, i) for v, trips in days.items() for j, trip in enumerate(trips) for i in trip]
    return np.array(rows, np.int64).reshape(-1, 3)
