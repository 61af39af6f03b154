"""Inserts late orders into a running plan within milliseconds: courier, trip, time and cost, or the reason against it.

Keeps every rule of the problem: trips, releases, both loads, windows, skills and zones, breaks, cold minutes, shifts,
prizes. The arrays of all days are kept between orders; an offer checks every position, cheapest first.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from heapq import heapify, heappop

from services.dispatch.planning.construct import reasons
from services.dispatch.planning.diff import Diff, difference
from services.dispatch.planning.plan import Plan, Unserved
from services.dispatch.planning.problem import Order, RoutingProblem
from services.dispatch.planning.schedule import assemble, timing
from services.dispatch.planning.schedule.columns import FEN, FOREVER, Columns
from services.dispatch.planning.schedule.day import Day
from services.dispatch.planning.travel.matrix import Estimate, Row, narrowed

BAND_S = 900
"""Length of the time span that people are given as time of arrival."""
NEARBY = 400
"""Stops that are searched again around a late order (docs/experiments/planning.md#late-orders)."""
COURIER, POSITION = 16, 20
"""Bits of a courier's number and of a position in its day."""
_TRIPS = ("first", "second", "third", "fourth", "fifth")


@contextmanager
def _without_collection() -> Iterator[None]:
    """Defer Python's garbage collection, which takes 10 ms with the objects of a plan."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@dataclass(frozen=True, slots=True)
class Offer:
    """The cheapest position of a late order. `trip` counts the courier's trips from 1; `alone`: it is its only stop."""

    order: str
    courier: str
    trip: int
    alone: bool
    eta_s: int
    metres: int
    cost_fen: int
    before: str | None = None
    """The order behind it; None when it is the trip's last."""

    def __str__(self) -> str:
        trip = _TRIPS[self.trip - 1] if self.trip <= len(_TRIPS) else f"{self.trip}th"
        when = f"{reasons.clock(self.eta_s)}-{reasons.clock(self.eta_s + BAND_S)}"
        return f"yes: courier {self.courier}, {trip} trip, {when}, {self.metres / 1000:+.1f} km"


@dataclass(frozen=True, slots=True)
class Part:
    """Some couriers' days of a plan, as a problem and a plan of their own, chosen for the order `order`."""

    problem: RoutingProblem
    plan: Plan
    order: str


class Engine:
    """Holds a plan ready for late orders. When couriers are on their way already, give it the `replan.future`."""

    def __init__(self, problem: RoutingProblem, plan: Plan) -> None:
        self.columns = Columns(problem)
        days = assemble.days_of(self.columns, plan)
        self.days = [Day(self.columns, c, days.get(c, ())) for c in range(len(problem.couriers))]
        self.left = {gone.order: gone for gone in plan.unserved}
        self.planner = plan.planner

    @_without_collection()
    def offer(self, order: Order) -> Offer | Unserved:
        """Return the cheapest position for the order, or the reason that there is none. The plan does not change."""
        x = self.columns.add(order)
        found = self._best(x)
        if found is None:
            return reasons.explain(self.columns, self.days, x)
        added, c, k, alone = found
        if order.prize_fen is not None and added > order.prize_fen * FEN:
            return reasons.left_for_prize(order, -(-added // FEN))
        return self._offer(x, c, k, alone)

    @_without_collection()
    def accept(self, offer: Offer) -> None:
        """Insert the order as offered. Raises ValueError if it no longer fits."""
        x, c = self.columns.number[offer.order], self.columns.courier[offer.courier]
        day = self.days[c]
        if offer.alone:
            spots = [k for k in day.gaps if day.before[k] == offer.trip - 1]
        else:
            stops = day.trips[offer.trip - 1] if offer.trip <= len(day.trips) else []
            at = stops.index(self.columns.number[offer.before]) if offer.before else len(stops)
            spots = [day.loads[offer.trip - 1] + 1 + at] if stops else []
        for k in spots:
            if day.may_carry(x) and day.fits(x, k, offer.alone):
                day.insert(x, k, offer.alone)
                self.left.pop(offer.order, None)
                return
        where = f"trip {offer.trip} of courier {offer.courier}"
        raise ValueError(f"order {offer.order} no longer fits into {where}: request a new offer")

    def insert(self, order: Order) -> Offer | Unserved:
        """Make an offer and accept it. An order that can't be served becomes unserved in the plan."""
        found = self.offer(order)
        if isinstance(found, Offer):
            self.accept(found)
        else:
            self.left[order.id] = found
        return found

    def plan(self) -> Plan:
        """Return the current plan."""
        days = {day.c: day.trips for day in self.days}
        return assemble.plan(self.columns, days, self.planner, self.left.values())

    def part_around(self, order: str, stops: int = NEARBY) -> Part:
        """Return the day of the order, which must be in the plan, and the days that suit it best if times and loads are
        ignored, up to so many stops: few enough for a search of a tenth of a second."""
        x = self.columns.number[order]
        own = next(day for day in self.days if any(x in trip for trip in day.trips))
        metres = self._metres(x)
        others = [(_beside(day, x, metres), day.c) for day in self.days if day.trips and day is not own]
        chosen, left = [own], sorted(others)[::-1]
        while left and sum(len(trip) for day in chosen for trip in day.trips) < stops:
            chosen.append(self.days[left.pop()[1]])
        return self._part(sorted(chosen, key=lambda day: day.c), order)

    @_without_collection()
    def replace_part(self, part: Part, better: Plan) -> Diff | None:
        """Replace the days of a part by a better plan of it and return the changes.

        Returns None and changes nothing if it isn't better or the days have changed since.
        """
        couriers = [self.columns.courier[courier.id] for courier in part.problem.couriers]
        were = assemble.days_of(self.columns, part.plan)
        if any(self.days[c].trips != were.get(c, []) for c in couriers):
            return None
        if assemble.sort_key(part.problem, better) >= assemble.sort_key(part.problem, part.plan):
            return None
        days = assemble.days_of(self.columns, better)
        for c in couriers:
            self.days[c] = Day(self.columns, c, days.get(c, ()))
        return difference(part.plan, better)

    def _part(self, days: list[Day], order: str) -> Part:
        orders = [self.columns.orders[n] for day in days for trip in day.trips for n in trip]
        problem = narrowed(self.columns.problem, orders, [self.columns.couriers[day.c] for day in days])
        return Part(problem, assemble.plan(self.columns, {day.c: day.trips for day in days}, self.planner), order)

    def _best(self, x: int) -> tuple[int, int, int, bool] | None:
        metres = self._metres(x)
        options: list[int] = []  # packed integers sort faster than tuples and are no work for the garbage collector
        for day in self._distinct(x):
            base = day.c << POSITION + 1
            for added, k, alone in day.options(x, *(metres or (day.matrix.out(x), day.matrix.into(x)))):
                options.append(added << COURIER + POSITION + 1 | base | k << 1 | alone)
        heapify(options)
        while options:
            code = heappop(options)
            added, c = code >> COURIER + POSITION + 1, code >> POSITION + 1 & (1 << COURIER) - 1
            k, alone = code >> 1 & (1 << POSITION) - 1, bool(code & 1)
            if self.days[c].fits(x, k, alone):
                return added, c, k, alone
        return None

    def _metres(self, x: int) -> tuple[Row, Row] | None:
        """Return the metres from and to x when they are the same for all profiles."""
        if not isinstance(self.columns.base, Estimate):
            return None
        row = self.columns.base.row(x)
        return row, row

    def _distinct(self, x: int) -> Iterator[Day]:
        """Yield the days that may carry the order; of equal couriers without a trip only one."""
        idle: set[int] = set()
        for day in self.days:
            if not day.trips:
                if day.kind in idle:
                    continue
                idle.add(day.kind)
            if day.may_carry(x):
                yield day

    def _offer(self, x: int, c: int, k: int, alone: bool) -> Offer:
        columns, day = self.columns, self.days[c]
        trips, n = day.with_order(x, k, alone)
        made, was = timing.times(columns, c, trips), timing.times(columns, c, day.trips)
        if made is None or was is None:
            raise RuntimeError(f"courier {columns.couriers[c].id} has no valid times for a position that was checked")
        at = trips[n].index(x)
        follower = trips[n][at + 1] if at + 1 < len(trips[n]) else None
        after = timing.cost(columns, c, trips, made.leave_s, made.end_s)
        added = after - timing.cost(columns, c, day.trips, was.leave_s, was.end_s)
        return Offer(
            columns.orders[x].id,
            columns.couriers[c].id,
            n + 1,
            alone,
            made.trips[n][2][at],
            timing.metres(columns, c, trips) - timing.metres(columns, c, day.trips),
            -(-added // FEN),
            columns.orders[follower].id if follower else None,
        )


def _beside(day: Day, x: int, metres: tuple[Row, Row] | None) -> int:
    """Return the least that x adds beside a stop of the day when only the windows are checked."""
    if not day.may_carry(x):
        return FOREVER
    options = day.options(x, *(metres or (day.matrix.out(x), day.matrix.into(x))))
    return min((added for added, _, alone in options if not alone), default=FOREVER)
