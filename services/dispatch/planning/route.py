"""One courier's growing day while a plan is built: trips as lists of places, and what an insertion would cost.

Place 0 of the matrix is the station, place i the i-th order. The day is one walk `0 a b 0 c 0`, so that a delay on
an early trip is felt on the later ones. `earliest[k]` is when service can begin at step k, `latest[k]` when it must.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from services.dispatch.planning.matrix import Matrix
from services.dispatch.planning.plan import Route, Stop, Trip
from services.dispatch.planning.problem import Courier, Order, Problem


@dataclass(slots=True)
class Day:
    """The walk of one courier. Only `insert` changes it; it always keeps loads, windows and shift."""

    courier: Courier
    problem: Problem
    matrix: Matrix
    walk: list[int] = field(default_factory=lambda: [0, 0])
    loads: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)])  # of each trip
    earliest: list[int] = field(default_factory=list)
    latest: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._time()

    def options(self, index: int) -> Iterator[tuple[int, int, bool]]:
        """Where order `index` (1-based place) fits: (added metres, before which step, on a trip of its own)."""
        order, trip = self.problem.orders[index - 1], 0
        room_g, room_ml = self.courier.capacity_g - order.load_g, self.courier.cold_ml - order.cold_ml
        if room_g < 0 or room_ml < 0:
            return
        for step in range(1, len(self.walk)):
            if self.loads[trip][0] <= room_g and self.loads[trip][1] <= room_ml and self._fits(order, index, step):
                yield self._added(index, step), step, False
            trip += self.walk[step] == 0
        if len(self.walk) > 2 and self._fits_alone(order, index):
            yield 2 * self.matrix.metres[0][index], len(self.walk), True

    def insert(self, index: int, step: int, alone: bool) -> None:
        """Takes order `index` up at one of its `options`."""
        order = self.problem.orders[index - 1]
        if alone:
            self.walk += [index, 0]
            self.loads.append((order.load_g, order.cold_ml))
        else:
            trip = self.walk[1:step].count(0)
            self.walk.insert(step, index)
            grams, cold = self.loads[trip]
            self.loads[trip] = (grams + order.load_g, cold + order.cold_ml)
        self._time()

    def metres(self) -> int:
        """The length of the walk."""
        return sum(self.matrix.metres[a][b] for a, b in pairwise(self.walk))

    def route(self) -> Route:
        """The day as a route, each trip leaving no sooner than its first window needs."""
        trips: list[Trip] = []
        bounds = [step for step, place in enumerate(self.walk) if place == 0]
        for first, last in pairwise(bounds):
            steps = range(first + 1, last)
            if not steps:
                continue
            stops = tuple(Stop(self.problem.orders[self.walk[k] - 1].id, self.earliest[k]) for k in steps)
            way = self.matrix.seconds[0][self.walk[first + 1]]
            start = max(self.earliest[first], self.earliest[first + 1] - way - self.problem.load_s)
            trips.append(Trip(start, self.earliest[last], stops))
        return Route(self.courier.id, tuple(trips))

    def _service(self, step: int) -> int:
        place = self.walk[step]
        if place:
            return self.problem.orders[place - 1].service_s
        return self.problem.load_s if step < len(self.walk) - 1 else 0

    def _window(self, place: int) -> tuple[int, int]:
        order = self.problem.orders[place - 1] if place else self.courier
        return order.from_s, order.until_s

    def _time(self) -> None:
        seconds, walk = self.matrix.seconds, self.walk
        self.earliest = [self.courier.from_s]
        for k in range(1, len(walk)):
            arrival = self.earliest[k - 1] + self._service(k - 1) + seconds[walk[k - 1]][walk[k]]
            self.earliest.append(max(arrival, self._window(walk[k])[0]))
        self.latest = [self._window(place)[1] for place in walk]
        for k in range(len(walk) - 2, -1, -1):
            leave = self.latest[k + 1] - seconds[walk[k]][walk[k + 1]] - self._service(k)
            self.latest[k] = min(self.latest[k], leave)

    def _fits(self, order: Order, index: int, step: int) -> bool:
        before, after, to = self.walk[step - 1], self.walk[step], self.matrix.seconds[index]
        arrival = self.earliest[step - 1] + self._service(step - 1) + self.matrix.seconds[before][index]
        begin = max(arrival, order.from_s)
        return begin <= order.until_s and begin + order.service_s + to[after] <= self.latest[step]

    def _fits_alone(self, order: Order, index: int) -> bool:
        way = self.matrix.seconds[0][index]
        begin = max(self.earliest[-1] + self.problem.load_s + way, order.from_s)
        return begin <= order.until_s and begin + order.service_s + way <= self.courier.until_s

    def _added(self, index: int, step: int) -> int:
        before, after, metres = self.walk[step - 1], self.walk[step], self.matrix.metres
        return metres[before][index] + metres[index][after] - metres[before][after]
