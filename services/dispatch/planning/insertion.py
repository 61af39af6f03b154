"""A late order into a running plan, in milliseconds: which courier, which trip, when, at what cost; or why not.

Every rule of the problem counts: trips, releases, both loads, windows, skills and zones, breaks, cold minutes, shifts,
prizes. The arrays of all days are kept between orders: an offer looks at every position, cheapest first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heappop

from services.dispatch.planning import assemble, reasons, timing
from services.dispatch.planning.diff import Diff, difference
from services.dispatch.planning.matrix import Estimate, narrowed
from services.dispatch.planning.model import FEN, Model
from services.dispatch.planning.plan import Plan, Unserved
from services.dispatch.planning.problem import Order, Problem
from services.dispatch.planning.route import Day

BAND_S = 900
"""A time of arrival is told to people as a quarter of an hour."""
NEARBY = 200
"""Stops that are searched again around a late order."""
COURIER, POSITION = 16, 20
"""Bits of a courier's number and of a position in its day."""
_TRIPS = ("first", "second", "third", "fourth", "fifth")


@dataclass(frozen=True, slots=True)
class Offer:
    """Where a late order fits best. `trip` counts the courier's trips from 1; `alone`: it is the only stop of it."""

    order: str
    courier: str
    trip: int
    alone: bool
    eta_s: int
    metres: int
    cost_fen: int
    before: str | None = None
    """The order whose stop comes next; None when it is the trip's last."""

    def __str__(self) -> str:
        trip = _TRIPS[self.trip - 1] if self.trip <= len(_TRIPS) else f"{self.trip}th"
        when = f"{reasons.clock(self.eta_s)}-{reasons.clock(self.eta_s + BAND_S)}"
        return f"yes: courier {self.courier}, {trip} trip, {when}, {self.metres / 1000:+.1f} km"


@dataclass(frozen=True, slots=True)
class Part:
    """Some couriers' days of a plan, as a problem and a plan of their own."""

    problem: Problem
    plan: Plan


class Engine:
    """Keeps a plan ready for late orders. Where couriers are on their way already, give it the `replan.future`."""

    def __init__(self, problem: Problem, plan: Plan) -> None:
        self.model = Model(problem)
        days = assemble.days_of(self.model, plan)
        self.days = [Day(self.model, c, days.get(c, ())) for c in range(len(problem.couriers))]
        kinds = {kind: c for c, kind in enumerate(self.model.kinds)}
        self.alike = [kinds[kind] for kind in self.model.kinds]
        self.left = {gone.order: gone for gone in plan.unserved}
        self.planner = plan.planner

    def offer(self, order: Order) -> Offer | Unserved:
        """The cheapest place for the order, or why there is none; changes nothing in the plan."""
        x = self.model.add(order)
        found = self._best(x)
        if found is None:
            return reasons.explain(self.model, self.days, x)
        added, c, k, alone = found
        if order.prize_fen is not None and added > order.prize_fen * FEN:
            return reasons.left_for_prize(order, -(-added // FEN))
        return self._offer(x, c, k, alone)

    def accept(self, offer: Offer) -> None:
        """Takes up what was just offered. Raises ValueError if it no longer fits."""
        x, c = self.model.number[offer.order], self.model.courier[offer.courier]
        day = self.days[c]
        if offer.alone:
            spots = [k for k in day.seams if day.before[k] == offer.trip - 1]
        else:
            stops = day.trips[offer.trip - 1] if offer.trip <= len(day.trips) else []
            at = stops.index(self.model.number[offer.before]) if offer.before else len(stops)
            spots = [day.loads[offer.trip - 1] + 1 + at] if stops else []
        for k in spots:
            if day.able(x) and day.fits(x, k, offer.alone):
                day.insert(x, k, offer.alone)
                self.left.pop(offer.order, None)
                return
        raise ValueError(f"order {offer.order} no longer fits there")

    def take_up(self, order: Order) -> Offer | Unserved:
        """Offers and accepts at once; what can't be served stays in the plan as unserved."""
        found = self.offer(order)
        if isinstance(found, Offer):
            self.accept(found)
        else:
            self.left[order.id] = found
        return found

    def plan(self) -> Plan:
        """The plan as it stands now."""
        days = {day.c: day.trips for day in self.days}
        return assemble.plan(self.model, days, self.planner, self.left.values())

    def around(self, order: str, stops: int = NEARBY) -> Part:
        """The days of the couriers who come nearest to the order, its own first, until they have so many stops: small
        enough to be searched in no time."""
        x = self.model.number[order]
        way = self.model.base.row(x) if isinstance(self.model.base, Estimate) else self.model.base.out(x)
        busy = [
            (min(0 if n == x else way[n] for trip in day.trips for n in trip), day.c) for day in self.days if day.trips
        ]
        chosen: list[Day] = []
        for _, c in sorted(busy):
            chosen.append(self.days[c])
            if sum(len(trip) for day in chosen for trip in day.trips) >= stops:
                break
        chosen.sort(key=lambda day: day.c)
        return self._part(chosen)

    def take(self, part: Part, better: Plan) -> Diff | None:
        """Puts a better plan of a part of the days in their place and says what changes. None, and nothing is
        changed, if it isn't better or those days are no longer what they were."""
        couriers = [self.model.courier[courier.id] for courier in part.problem.couriers]
        if self._part([self.days[c] for c in couriers]).plan != part.plan:
            return None
        if assemble.worth(part.problem, better) >= assemble.worth(part.problem, part.plan):
            return None
        days = assemble.days_of(self.model, better)
        for c in couriers:
            self.days[c] = Day(self.model, c, days.get(c, ()))
        return difference(part.plan, better)

    def _part(self, days: list[Day]) -> Part:
        orders = [self.model.orders[n] for day in days for trip in day.trips for n in trip]
        problem = narrowed(self.model.problem, orders, [self.model.couriers[day.c] for day in days])
        return Part(problem, assemble.plan(self.model, {day.c: day.trips for day in days}, self.planner))

    def _best(self, x: int) -> tuple[int, int, int, bool] | None:
        near = self.model.base.row(x) if isinstance(self.model.base, Estimate) else None  # metres for all profiles
        options: list[int] = []  # numbers sort sooner than tuples, and are nothing that Python would later clean up
        for day in self._lively(x):
            out, into = (near, near) if near else (day.ways.out(x), day.ways.into(x))
            base = day.c << POSITION + 1
            for added, k, alone in day.options(x, out, into):
                options.append(added << COURIER + POSITION + 1 | base | k << 1 | alone)
        heapify(options)
        while options:
            code = heappop(options)
            added, c = code >> COURIER + POSITION + 1, code >> POSITION + 1 & (1 << COURIER) - 1
            k, alone = code >> 1 & (1 << POSITION) - 1, bool(code & 1)
            if self.days[c].fits(x, k, alone):
                return added, c, k, alone
        return None

    def _lively(self, x: int) -> Iterator[Day]:
        """The days that may take the order; of those alike that have nothing to do only one."""
        idle: set[int] = set()
        for day in self.days:
            if not day.trips:
                if self.alike[day.c] in idle:
                    continue
                idle.add(self.alike[day.c])
            if day.able(x):
                yield day

    def _offer(self, x: int, c: int, k: int, alone: bool) -> Offer:
        model, day = self.model, self.days[c]
        trips, n = day.with_order(x, k, alone)
        made, was = timing.times(model, c, trips), timing.times(model, c, day.trips)
        if made is None or was is None:
            raise RuntimeError(f"courier {model.couriers[c].id} can't keep times that fitted")
        at = trips[n].index(x)
        follower = trips[n][at + 1] if at + 1 < len(trips[n]) else None
        after = timing.cost(model, c, trips, made.leave_s, made.end_s)
        added = after - timing.cost(model, c, day.trips, was.leave_s, was.end_s)
        return Offer(
            model.orders[x].id,
            model.couriers[c].id,
            n + 1,
            alone,
            made.trips[n][2][at],
            timing.metres(model, c, trips) - timing.metres(model, c, day.trips),
            -(-added // FEN),
            model.orders[follower].id if follower else None,
        )
