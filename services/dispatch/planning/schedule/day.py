"""A courier's day while a plan is built: computes the cost of an insertion and, in constant time, its feasibility.

The day is one walk of steps: START, then LOAD and its stops for each trip, RESTs between trips, END. `begin[k]` is the
earliest begin of step k, `free[k]` its end, `latest[k]` its latest begin, which includes the later trips. `bare[k]` is
the time since the trip's loading without any waiting, `spare[k]` the delay that the cold limits from step k to the
trip's end allow. Breaks stay where `timing` places them for the present trips.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from services.dispatch.planning.schedule import timing
from services.dispatch.planning.schedule.columns import FEN, FOREVER, HOUR, KM, Columns
from services.dispatch.planning.travel.matrix import Row

START, LOAD, REST, END = -1, 0, -2, -3  # steps; those of orders are their place numbers, from 1
Option = tuple[int, int, bool]
"""(added cost in 1/18 000 fen, with hours estimated from metres; index of the step behind; on a trip of its own)"""


class Day:
    """The day of courier `c`; only `insert` and `remove` change it. The trips given must have valid times."""

    def __init__(self, columns: Columns, c: int, trips: Sequence[Sequence[int]] = ()) -> None:
        self.columns, self.c, self.matrix = columns, c, columns.matrices[c]
        courier = columns.couriers[c]
        self.per_s = courier.fen_per_hour * HOUR
        self.per_m = courier.fen_per_km * KM + int(
            self.per_s / columns.speed(c)
        )  # with the hours of a detour, estimated from its metres
        self.start, self.end = columns.starts[c], columns.ends[c]
        self.kind = columns.alike[c]
        self.ready = courier.from_s + self.matrix.seconds(self.start, 0)
        self.trips = [list(trip) for trip in trips]
        self.rebuild()

    def may_carry(self, x: int) -> bool:
        """Return whether skills, zones and an empty vehicle allow order `x`."""
        columns, courier = self.columns, self.columns.couriers[self.c]
        light_enough = columns.grams[x] <= courier.capacity_g and columns.cold[x] <= courier.cold_ml
        return light_enough and courier.may_serve(columns.orders[x])

    def options(self, x: int, out: Row, into: Row) -> Iterator[Option]:
        """Yield the cost of each position that is not clearly too early or late; `fits` checks the rest.

        `out` and `into` are the metres from and to `x`.
        """
        windows = self.columns.windows[x]
        if not windows:
            return
        (first, _), (_, last), per_m, service = windows[0], windows[-1], self.per_m, self._service(x)
        for k, a, b, gap, free, latest in self.spots:
            if free <= last and latest >= first:
                yield (into[a] + out[b] - gap) * per_m + service, k, False
        for k in self.gaps:
            yield self.alone(x, k, out, into), k, True

    def between(self, x: int, k: int, out: Row, into: Row) -> int:
        """Return the added cost of `x` before step k of a trip."""
        metres = into[self.at[k - 1]] + out[self.at[k]] - self.gap[k]
        return metres * self.per_m + self._service(x)

    def alone(self, x: int, k: int, out: Row, into: Row) -> int:
        """Return the added cost of a trip with `x` alone before step k."""
        metres, fixed = into[0] + out[0], 0
        if not self._more(k):
            last = self.trips[-1][-1] if self.trips else self.start
            metres = self.matrix.metres(last, 0) + into[0] + out[self.end]
            if self.trips:
                metres -= self.matrix.metres(last, self.end)
            else:
                fixed = self.columns.couriers[self.c].fen_fixed * FEN
        return metres * self.per_m + fixed + self._service(x)

    def fits(self, x: int, k: int, alone: bool) -> bool:
        """Return whether every rule is kept with `x` before step k. The caller has checked `may_carry`."""
        return self._fits_alone(x, k) if alone else self._fits_in(x, k)

    def earliest_arrival(self, x: int) -> int:
        """Return the arrival at `x` with a trip of its own behind all others."""
        return max(self.over, self.columns.release[x]) + self.columns.problem.load_s + self.matrix.seconds(0, x)

    def free_load(self, moment: int) -> tuple[int, int]:
        """Return the most grams and millilitres that are free on a trip that starts by the moment; FOREVER if no trip
        does."""
        begun = bisect_right(self.loads, moment, key=self.begin.__getitem__)
        return (self._most_g[begun - 1], self._most_ml[begun - 1]) if begun else (FOREVER, FOREVER)

    def with_order(self, x: int, k: int, alone: bool) -> tuple[list[list[int]], int]:
        """Return the trips with order `x` before step k, and the number of its trip. The day does not change."""
        trips = list(self.trips)
        if alone:
            trips.insert(self.before[k], [x])
            return trips, self.before[k]
        trip = self.trip[k - 1]
        at = k - 1 - self.loads[trip]
        trips[trip] = [*trips[trip][:at], x, *trips[trip][at:]]
        return trips, trip

    def insert(self, x: int, k: int, alone: bool) -> None:
        """Insert order `x` before step k, where it fits."""
        self.trips, _ = self.with_order(x, k, alone)
        self.rebuild()

    def remove(self, x: int) -> None:
        """Remove order `x`, and its trip if that becomes empty."""
        self.trips = [kept for trip in self.trips if (kept := [n for n in trip if n != x])]
        self.rebuild()

    def rebuild(self) -> None:
        """Compute the walk from the trips."""
        self._walk()
        self._forward()
        self._backward()
        self.spots = [
            (k, self.at[k - 1], self.at[k], self.gap[k], self.free[k - 1], self.latest[k])
            for k in range(1, len(self.walk))
            if self.walk[k - 1] >= LOAD
        ]
        self._late: dict[tuple[int, int], list[int]] = {}
        self.over = self.free[-2] + self.matrix.seconds(self.at[-2], 0)
        self._most_g, self._most_ml = list(accumulate(self.free_g, max)), list(accumulate(self.free_ml, max))

    def _walk(self) -> None:
        courier, columns = self.columns.couriers[self.c], self.columns
        made = timing.times(columns, self.c, self.trips) if courier.breaks else None
        placing = [before for before, _, _ in made.breaks] if made else [0] * len(courier.breaks)
        self.walk, self.at, self.trip, self.before, self.loads = [START], [self.start], [-1], [0], []
        rests = iter(zip(placing, courier.breaks, strict=True))
        due = next(rests, None)
        self.rest_at = {}
        for n in range(len(self.trips) + 1):
            while due and due[0] == n:
                self.rest_at[len(self.walk)] = due[1]
                where = self.start if n == 0 else 0 if n < len(self.trips) else self.end
                self._step(REST, where, -1, n)
                due = next(rests, None)
            if n < len(self.trips):
                self.loads.append(len(self.walk))
                self._step(LOAD, 0, n, n)
                for place in self.trips[n]:
                    self._step(place, place, n, n + 1)
        self._step(END, self.end if self.trips else self.start, -1, len(self.trips))
        pairs = list(zip(self.at, self.at[1:], strict=False))
        self.leg = [0, *(self.matrix.seconds(a, b) if a != b else 0 for a, b in pairs)]
        self.gap = [0, *(self.matrix.metres(a, b) if a != b else 0 for a, b in pairs)]
        self.gaps = [k for k, step in enumerate(self.walk) if k and step <= LOAD]
        self.free_g = [courier.capacity_g - sum(columns.grams[n] for n in trip) for trip in self.trips]
        self.free_ml = [courier.cold_ml - sum(columns.cold[n] for n in trip) for trip in self.trips]

    def _step(self, step: int, place: int, trip: int, before: int) -> None:
        self.walk.append(step)
        self.at.append(place)
        self.trip.append(trip)
        self.before.append(before)

    def _forward(self) -> None:
        columns, leg = self.columns, self.leg
        self.begin, self.free, self.bare = [], [], []
        clock = columns.couriers[self.c].from_s
        bare = 0
        for k, step in enumerate(self.walk):
            clock += leg[k]
            if step > LOAD:
                clock = columns.opening(step, clock)
                bare += leg[k]
                lasts = columns.service[step]
            elif step == LOAD:
                clock = max([clock, *(columns.release[n] for n in self.trips[self.trip[k]])])
                bare, lasts = 0, columns.problem.load_s
            elif step == REST:
                clock, lasts = max(clock, self.rest_at[k].from_s), self.rest_at[k].length_s
            else:
                lasts = 0
            self.begin.append(clock)
            self.bare.append(bare)
            bare += lasts if step > LOAD else 0
            clock += lasts
            self.free.append(clock)

    def _backward(self) -> None:
        columns, leg, size = self.columns, self.leg, len(self.walk)
        self.latest, self.spare = [0] * size, [FOREVER] * size
        bound = spare = FOREVER
        for k in range(size - 1, -1, -1):
            step = self.walk[k]
            if step > LOAD:
                bound = columns.closing(step, bound - columns.service[step])
                spare = min(spare, columns.limit[step] - self.bare[k])
            elif step == LOAD:
                bound -= columns.problem.load_s
            elif step == REST:
                bound = min(bound, self.rest_at[k].until_s) - self.rest_at[k].length_s
            elif step == END:
                bound = columns.couriers[self.c].until_s
            self.latest[k], self.spare[k] = bound, spare
            spare = spare if step > LOAD else FOREVER
            bound -= leg[k]

    def _more(self, k: int) -> bool:
        return self.before[k] < len(self.trips)

    def _service(self, x: int) -> int:
        return self.per_s * self.columns.service[x]

    def _fits_in(self, x: int, k: int) -> bool:
        columns, trip, seconds = self.columns, self.trip[k - 1], self.matrix.seconds
        if columns.grams[x] > self.free_g[trip] or columns.cold[x] > self.free_ml[trip]:
            return False
        windows = columns.windows[x]
        if not windows or self.free[k - 1] > windows[-1][1] or self.latest[k] < windows[0][0]:
            return False
        load, to, on, service = self.loads[trip], seconds(self.at[k - 1], x), seconds(x, self.at[k]), columns.service[x]
        free = self.free[k - 1]
        if columns.release[x] > self.begin[load]:
            free = self._delayed(trip, columns.release[x])[k - 1 - load]
        moment = columns.opening(x, free + to) + service + on
        if moment > self.latest[k]:
            return False
        spare = self.spare[k] if self.trip[k] == trip else FOREVER
        if spare == FOREVER == columns.limit[x] and self.spare[load + 1] == FOREVER:
            return True
        before = self.walk[k - 1]
        on_way = self.bare[k - 1] + columns.service[before] if before > LOAD else 0  # lower bound, after loading
        if to + service + on - self.leg[k] > spare or on_way + to > columns.limit[x]:
            return False
        stops = self.trips[trip]
        at = k - 1 - load
        return self._cold_enough([*stops[:at], x, *stops[at:]], load, trip + 1 < len(self.trips))

    def _fits_alone(self, x: int, k: int) -> bool:
        columns, seconds = self.columns, self.matrix.seconds
        ready = max(self.free[k - 1] + seconds(self.at[k - 1], 0), columns.release[x]) + columns.problem.load_s
        more = self._more(k)
        moment = columns.opening(x, ready + seconds(0, x)) + columns.service[x] + seconds(x, 0 if more else self.end)
        if moment > self.latest[k]:
            return False
        if columns.couriers[self.c].breaks and (self.start or self.end):
            # the break may move from or to the courier's own place
            n = self.before[k]
            return timing.times(columns, self.c, [*self.trips[:n], [x], *self.trips[n:]]) is not None
        return columns.limit[x] == FOREVER or self._cold_enough([x], k, more)

    def _cold_enough(self, trip: list[int], load: int, more: bool) -> bool:
        clock = self.free[load - 1] + self.matrix.seconds(self.at[load - 1], 0)
        return timing.trip_times(self.columns, self.c, trip, clock, 0 if more else self.end) is not None

    def _delayed(self, trip: int, release: int) -> list[int]:
        """Return the end of each step of the trip if its loading begins at `release`."""
        found = self._late.get((trip, release))
        if found is None:
            clock, load, columns = release + self.columns.problem.load_s, self.loads[trip], self.columns
            found = [clock]
            for k, place in enumerate(self.trips[trip], load + 1):
                clock = columns.opening(place, clock + self.leg[k]) + columns.service[place]
                found.append(clock)
            self._late[trip, release] = found
        return found
