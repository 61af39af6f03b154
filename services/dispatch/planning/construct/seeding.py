"""Seed-and-extend heuristic for large instances: a trip starts at the most urgent order and appends the nearest
feasible one.

A trip starts with the remaining order of which the window closes first, given to the courier who waits least for it.
It is extended by the near order that can be served earliest. Loads, releases, windows, cold limits, breaks and shifts
are kept; insertion tries the orders that remain. 1 000 orders take about 60 ms.
"""

from __future__ import annotations

from services.dispatch.planning.construct.neighbours import Neighbours
from services.dispatch.planning.schedule import timing
from services.dispatch.planning.schedule.columns import Columns

PATIENCE_S = 1200
"""Longest wait for the next order of a trip; an order with a longer one is left to another trip."""


def trips(columns: Columns, neighbours: Neighbours) -> dict[int, list[list[int]]]:
    """Return trips by courier number that keep every rule. They need not hold all orders."""
    seeding = _Seeding(columns, neighbours)
    for seed in sorted(columns.orders, key=lambda n: (-columns.orders[n].priority, columns.last[n], n)):
        if seed in seeding.left and columns.orders[seed].prize_fen is None:
            seeding.start_trip(seed)
    return {c: days for c, days in enumerate(seeding.days) if days}


class _Seeding:
    def __init__(self, columns: Columns, neighbours: Neighbours) -> None:
        self.columns, self.neighbours = columns, neighbours
        self.left = set(columns.orders)
        couriers = columns.couriers
        self.days: list[list[list[int]]] = [[] for _ in couriers]
        self.ready = [c.from_s + columns.matrices[n].seconds(columns.starts[n], 0) for n, c in enumerate(couriers)]

    def start_trip(self, seed: int) -> None:
        """Start a trip at `seed` with the used courier who waits least for it, else with an unused one."""
        for c in sorted(self._candidates(seed), key=lambda c: (not self.days[c], -self.ready[c], c))[:3]:
            trip = self._extended(c, seed)
            while trip and not self._accept(c, trip):
                trip = trip[: len(trip) // 2]
            if trip:
                self.left.difference_update(trip)
                return

    def _candidates(self, seed: int) -> list[int]:
        columns, found = self.columns, []
        for c, courier in enumerate(columns.couriers):
            seconds = columns.matrices[c].seconds
            there = max(self.ready[c], columns.release[seed]) + columns.problem.load_s + seconds(0, seed)
            if there > columns.last[seed]:
                continue
            back = columns.opening(seed, there) + columns.service[seed] + seconds(seed, columns.ends[c])
            light = columns.grams[seed] <= courier.capacity_g and columns.cold[seed] <= courier.cold_ml
            if back <= courier.until_s and light and courier.may_serve(columns.orders[seed]):
                found.append(c)
        return found

    def _extended(self, c: int, seed: int) -> list[int]:
        columns, courier, seconds = self.columns, self.columns.couriers[c], self.columns.matrices[c].seconds
        start = max(self.ready[c], columns.release[seed])
        grams, cold = courier.capacity_g - columns.grams[seed], courier.cold_ml - columns.cold[seed]
        clock = columns.opening(seed, start + columns.problem.load_s + seconds(0, seed)) + columns.service[seed]
        trip, here = [seed], seed
        while True:
            best, best_clock = 0, clock + PATIENCE_S
            for n in self.neighbours.of(here):
                if n not in self.left or n in trip or columns.grams[n] > grams or columns.cold[n] > cold:
                    continue
                begin = columns.opening(n, clock + seconds(here, n))
                if begin >= best_clock or columns.release[n] > start or not courier.may_serve(columns.orders[n]):
                    continue
                if begin + columns.service[n] + seconds(n, columns.ends[c]) <= courier.until_s:
                    best, best_clock = n, begin
            if not best:
                return trip
            trip.append(best)
            grams, cold = grams - columns.grams[best], cold - columns.cold[best]
            clock, here = best_clock + columns.service[best], best

    def _accept(self, c: int, trip: list[int]) -> bool:
        """Add the trip to the day and return True, if its times can be kept."""
        columns = self.columns
        if columns.couriers[c].breaks:
            made = timing.times(columns, c, [*self.days[c], trip])
            row = made.trips[-1] if made else None
        else:
            row = timing.trip_times(columns, c, trip, self.ready[c], columns.ends[c])
        if row is None or row[1] > columns.couriers[c].until_s:
            return False
        self.days[c].append(trip)
        last = trip[-1]  # another trip may follow: then this one ends at the station
        self.ready[c] = row[2][-1] + columns.service[last] + columns.matrices[c].seconds(last, 0)
        return True
