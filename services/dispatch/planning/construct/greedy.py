"""Greedy plan: trips by seeding, then cheapest insertion of the remaining orders, with every rule kept.

Deterministic and pure Python; 1 000 orders take about 100 ms. Few orders are also planned by insertion alone, and the
cheaper plan is taken. Urgent orders first, required before optional ones, then the farthest (they shape the routes).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from services.dispatch.planning.construct import reasons, seeding
from services.dispatch.planning.construct.neighbours import Neighbours
from services.dispatch.planning.plan import Plan, Unserved
from services.dispatch.planning.problem import RoutingProblem
from services.dispatch.planning.schedule import assemble
from services.dispatch.planning.schedule.columns import FEN, Columns
from services.dispatch.planning.schedule.day import Day
from services.dispatch.planning.schedule.timing import Trips
from services.dispatch.planning.travel.matrix import Row

_Option = tuple[int, int, int, bool]  # added cost, courier, index of the step behind, on a trip of its own
FEW = 300
"""Up to so many orders, every position is tried for each; above, those beside near orders and trips of its own."""


def solve(problem: RoutingProblem) -> Plan:
    """Return a feasible plan in which every order is either planned once or unserved with a reason."""
    columns = Columns(problem)
    neighbours = Neighbours(columns)
    seeded = complete(columns, seeding.trips(columns, neighbours), "greedy", neighbours)
    if len(columns.orders) > FEW:
        return seeded
    return min(complete(columns, {}, "greedy", neighbours), seeded, key=lambda plan: assemble.sort_key(problem, plan))


def complete(columns: Columns, days: Mapping[int, Trips], planner: str, neighbours: Neighbours | None = None) -> Plan:
    """Return a plan with the trips `days` (by courier number, valid) and all orders that fit beside them."""
    served = {n for trips in days.values() for trip in trips for n in trip}
    left = [n for n in columns.orders if n not in served]
    if not left:
        return assemble.plan(columns, days, planner)
    insertion = _Insertion(columns, days, neighbours or Neighbours(columns))
    unserved = []
    for x in sorted(left, key=insertion.rank):
        gone = insertion.insert(x)
        if gone:
            unserved.append(gone)
    return assemble.plan(columns, {day.c: day.trips for day in insertion.days}, planner, unserved)


class _Insertion:
    def __init__(self, columns: Columns, days: Mapping[int, Trips], neighbours: Neighbours) -> None:
        self.columns = columns
        self.days = [Day(columns, c, days.get(c, ())) for c in range(len(columns.couriers))]
        self.day_of = {n: day for day in self.days for trip in day.trips for n in trip}
        self.neighbours = neighbours

    def rank(self, x: int) -> tuple[int, bool, int, int]:
        order = self.columns.orders[x]
        way = self.columns.base.metres(0, x)
        return -order.priority, order.prize_fen is not None, -way, x

    def insert(self, x: int) -> Unserved | None:
        able = [day for day in self.days if day.may_carry(x)]
        best = self._best(x, self._all(x, able) if len(self.columns.orders) <= FEW else self._near(x, able))
        if best is None:
            return reasons.explain(self.columns, self.days, x)
        added, c, k, alone = best
        prize = self.columns.orders[x].prize_fen
        if prize is not None and added > prize * FEN:
            return reasons.left_for_prize(self.columns.orders[x], -(-added // FEN))
        self.days[c].insert(x, k, alone)
        self.day_of[x] = self.days[c]
        return None

    def _best(self, x: int, options: Iterator[_Option]) -> _Option | None:
        best: _Option | None = None
        for option in options:
            if (best is None or option[:2] < best[:2]) and self.days[option[1]].fits(x, option[2], option[3]):
                best = option
        return best

    def _all(self, x: int, able: list[Day]) -> Iterator[_Option]:
        rows = _Rows(x)
        for day in self._distinct(able):
            for added, k, alone in day.options(x, *rows.of(day)):
                yield added, day.c, k, alone

    def _near(self, x: int, able: list[Day]) -> Iterator[_Option]:
        rows = _Rows(x)
        may = {day.c for day in able}
        for n in self.neighbours.of(x):
            day = self.day_of.get(n)
            if day and day.c in may:
                out, into = rows.of(day)
                k = day.walk.index(n)
                yield day.between(x, k, out, into), day.c, k, False
                yield day.between(x, k + 1, out, into), day.c, k + 1, False
        for day in self._distinct(able):
            if day.earliest_arrival(x) <= self.columns.last[x]:
                end = len(day.walk) - 1
                yield day.alone(x, end, *rows.of(day)), day.c, end, True

    def _distinct(self, able: list[Day]) -> Iterator[Day]:
        """Yield the days; of equal couriers without a trip only one."""
        idle: set[int] = set()
        for day in able:
            if not day.trips:
                if day.kind in idle:
                    continue
                idle.add(day.kind)
            yield day


class _Rows:
    """Caches the metres from and to an order for the profile of each day."""

    def __init__(self, x: int) -> None:
        self.x = x
        self.known: dict[int, tuple[Row, Row]] = {}

    def of(self, day: Day) -> tuple[Row, Row]:
        key = id(day.matrix)
        if key not in self.known:
            self.known[key] = day.matrix.out(self.x), day.matrix.into(self.x)
        return self.known[key]
