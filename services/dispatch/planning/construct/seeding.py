"""Trips for very many orders in very little time: each grows from its most urgent order to the next near one.

A trip begins with the order whose window closes first among those left, with the courier who then waits least, and is
prolonged by the near order that can be served soonest. Loads, release, windows, cold limits, breaks and shifts are
kept; what finds no place is left to insertion. 1 000 orders take some 60 ms.
"""

from __future__ import annotations

from services.dispatch.planning.construct.neighbours import Near
from services.dispatch.planning.schedule import timing
from services.dispatch.planning.schedule.columns import Model

PATIENCE_S = 1200
"""Nobody waits longer at a door for an order that another trip could bring."""


def trips(model: Model, near: Near) -> dict[int, list[list[int]]]:
    """Trips by courier number that keep every rule; not all orders need be in them."""
    rough = _Rough(model, near)
    for seed in sorted(model.orders, key=lambda n: (-model.orders[n].priority, model.last[n], n)):
        if seed in rough.left and model.orders[seed].prize_fen is None:
            rough.begin(seed)
    return {c: days for c, days in enumerate(rough.days) if days}


class _Rough:
    def __init__(self, model: Model, near: Near) -> None:
        self.model, self.near = model, near
        self.left = set(model.orders)
        couriers = model.couriers
        self.days: list[list[list[int]]] = [[] for _ in couriers]
        self.ready = [c.from_s + model.ways[n].seconds(model.starts[n], 0) for n, c in enumerate(couriers)]

    def begin(self, seed: int) -> None:
        """A trip from `seed` on, by the used courier who waits least for it, else by a fresh one."""
        for c in sorted(self._could(seed), key=lambda c: (not self.days[c], -self.ready[c], c))[:3]:
            trip = self._grown(c, seed)
            while trip and not self._keeps(c, trip):
                trip = trip[: len(trip) // 2]
            if trip:
                self.left.difference_update(trip)
                return

    def _could(self, seed: int) -> list[int]:
        model, found = self.model, []
        for c, courier in enumerate(model.couriers):
            seconds = model.ways[c].seconds
            there = max(self.ready[c], model.release[seed]) + model.problem.load_s + seconds(0, seed)
            if there > model.last[seed]:
                continue
            back = model.opening(seed, there) + model.service[seed] + seconds(seed, model.ends[c])
            light = model.grams[seed] <= courier.capacity_g and model.cold[seed] <= courier.cold_ml
            if back <= courier.until_s and light and courier.may_serve(model.orders[seed]):
                found.append(c)
        return found

    def _grown(self, c: int, seed: int) -> list[int]:
        model, courier, seconds = self.model, self.model.couriers[c], self.model.ways[c].seconds
        start = max(self.ready[c], model.release[seed])
        grams, cold = courier.capacity_g - model.grams[seed], courier.cold_ml - model.cold[seed]
        clock = model.opening(seed, start + model.problem.load_s + seconds(0, seed)) + model.service[seed]
        trip, here = [seed], seed
        while True:
            best, best_clock = 0, clock + PATIENCE_S
            for n in self.near.of(here):
                if n not in self.left or n in trip or model.grams[n] > grams or model.cold[n] > cold:
                    continue
                begin = model.opening(n, clock + seconds(here, n))
                if begin >= best_clock or model.release[n] > start or not courier.may_serve(model.orders[n]):
                    continue
                if begin + model.service[n] + seconds(n, model.ends[c]) <= courier.until_s:
                    best, best_clock = n, begin
            if not best:
                return trip
            trip.append(best)
            grams, cold = grams - model.grams[best], cold - model.cold[best]
            clock, here = best_clock + model.service[best], best

    def _keeps(self, c: int, trip: list[int]) -> bool:
        """Takes the trip into the day if its times can be kept."""
        model = self.model
        if model.couriers[c].breaks:
            made = timing.times(model, c, [*self.days[c], trip])
            row = made.trips[-1] if made else None
        else:
            row = timing.trip_times(model, c, trip, self.ready[c], model.ends[c])
        if row is None or row[1] > model.couriers[c].until_s:
            return False
        self.days[c].append(trip)
        last = trip[-1]  # another trip may follow: then this one ends at the station
        self.ready[c] = row[2][-1] + model.service[last] + model.ways[c].seconds(last, 0)
        return True
