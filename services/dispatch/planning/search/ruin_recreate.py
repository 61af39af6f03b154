"""Simulated annealing by ruin and recreate on one fleet; can start from given days.

Days are lists of trips by vehicle, trips are lists of orders: `{vehicle: [[order, ...], ...]}`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from services.dispatch.planning.search.kernel import ruin
from services.dispatch.planning.search.kernel.fleet import Fleet
from services.dispatch.planning.search.kernel.tours import COST, FREE, HEAD, NEXT, UNSERVED, Tours, copy, empty

Days = dict[int, list[list[int]]]
HOT, WARM, COLD = 0.5, 0.1, 0.05
"""Heat at the start, at the start from days that are good already, and at the end, in costs of an average leg
(docs/experiments/planning.md#heat)."""
VEHICLE = 0.5
"""Least heat at the start, in fixed costs of a vehicle: with less, no vehicle is ever saved
(docs/experiments/planning.md#heat)."""
REMOVED = 10.0
"""Orders removed in a round, on average (docs/experiments/planning.md#removals)."""
SLICE_S = 0.003
"""Seconds between two looks at the clock (docs/experiments/planning.md#late-orders)."""


class Search:
    """Annealing state: current, trial and best tours. Equal seeds and numbers of rounds give equal tours."""

    def __init__(self, fleet: Fleet, seed: int, days: Days | None = None) -> None:
        self.fleet = fleet
        self.now, self.trial, self.best = (empty(fleet) for _ in range(3))
        self.rng = np.array([(seed + 1) * 0x9E3779B97F4A7C15 % 2**64 or 1], np.uint64)
        self.rounds = 0
        self._pace = 20.0  # rounds that fit into SLICE_S, measured as it goes
        if days:
            ruin.fill(fleet, self.now, _rows(days))
        ruin.complete(fleet, self.now, self.rng)
        copy(self.now, self.trial)
        copy(self.now, self.best)

    @property
    def cost(self) -> int:
        """The cost of the best tours, with what skipped orders cost."""
        return int(self.best.totals[COST])

    @property
    def leg_cost(self) -> float:
        """The cost of an average leg in the best tours, the unit of heat."""
        n = self.fleet.orders
        trips = len(self.best.trip) - int(self.best.totals[FREE])
        out = self.best.unserved[: int(self.best.totals[UNSERVED])]
        return max(1.0, (self.cost - float(self.fleet.skip_cost[out].sum())) / max(1, n - len(out) + trips))

    def heats(self, good: bool) -> tuple[float, float]:
        """Return the heat to start and to end with. `good`: it starts from days that are worth keeping."""
        hot = WARM * self.leg_cost if good else max(HOT * self.leg_cost, VEHICLE * float(self.fleet.fixed_cost.mean()))
        return hot, COLD * self.leg_cost

    def cool(self, hot: float, cold: float, done: Callable[[], float]) -> None:
        """Anneal from heat `hot` to `cold` while `done()`, the part of the time that is over, is below 1."""
        while (part := done()) < 1:
            began = time.perf_counter()
            rounds = max(1, int(self._pace))
            self.anneal(rounds, hot * (cold / hot) ** max(0.0, part))
            took = time.perf_counter() - began
            self._pace = min(2 * self._pace, rounds * SLICE_S / max(took, 1e-6))

    def cool_rounds(self, hot: float, cold: float, rounds: int, steps: int = 100) -> None:
        """Anneal for a number of rounds, regardless of the time."""
        for step in range(steps):
            share = rounds * (step + 1) // steps - rounds * step // steps
            self.anneal(share, hot * (cold / hot) ** (step / steps))

    def anneal(self, rounds: int, heat: float) -> None:
        """Anneal for some rounds at one heat."""
        ruin.anneal(self.fleet, self.now, self.trial, self.best, self.rng, rounds, heat, REMOVED)
        self.rounds += rounds

    def days(self) -> Days:
        """Return the best tours, without vehicles that have no trip."""
        return days_of(self.best)


def days_of(tours: Tours) -> Days:
    """Return the tours as lists."""
    follows, heads = tours.stop[:, NEXT].tolist(), tours.trip[:, HEAD].tolist()
    days: Days = {}
    for v, count in enumerate(tours.trip_count.tolist()):
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
