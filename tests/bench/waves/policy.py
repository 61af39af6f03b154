"""Policies that send orders now or keep them for the next wave: pure functions of a `Moment`.

An order without its goods can't be sent yet, but it is known: another order may wait to share a trip with it. Not used
by the service; see docs/experiments/planning.md#waves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random

from pydantic.dataclasses import dataclass

from services.dispatch.planning.problem import Order, RoutingProblem
from services.dispatch.planning.schedule.columns import FOREVER, Columns
from services.dispatch.planning.schedule.day import Day


@dataclass(frozen=True, slots=True)
class Moment:
    """The input of a decision at a wave.

    `problem` has the couriers from the time when each is free at the station, and every known order that has not left;
    `release_s` is the expected arrival of its goods, at most `now_s` if they are here. `futures` are examples of later
    orders: those of other days after this hour.
    """

    now_s: int
    next_s: int
    problem: RoutingProblem
    futures: tuple[tuple[Order, ...], ...] = ()
    seed: int = 0
    delay_s: int = 0
    """Average delay of line-hauls on other days."""

    @property
    def waiting(self) -> list[Order]:
        """The orders that can leave now."""
        return [order for order in self.problem.orders if order.release_s <= self.now_s]


HOUR_S = 3600
Policy = Callable[[Moment], frozenset[str]]
"""Returns the ids of the waiting orders that leave now."""


def greedy(moment: Moment) -> frozenset[str]:
    """Send all waiting orders, except those that would wait at the door longer than until the next wave."""
    columns, found = Columns(moment.problem), set()
    wait = moment.next_s - moment.now_s
    for order in moment.waiting:
        n = columns.number[order.id]
        there = moment.now_s + moment.problem.load_s + _leg_s(columns, n)
        opens = columns.opening(n, there)
        if opens <= there + wait or opens == FOREVER:
            found.add(order.id)
    return frozenset(found)


def lazy(moment: Moment, margin_s: int = 0) -> frozenset[str]:
    """Send only orders that would be late if they left alone with the next wave or `margin_s` after it."""
    columns, found = Columns(moment.problem), set()
    for order in moment.waiting:
        n = columns.number[order.id]
        latest = max((last for _, last in columns.windows[n]), default=0)
        if moment.next_s + margin_s + moment.problem.load_s + _leg_s(columns, n) > latest:
            found.add(order.id)
    return frozenset(found)


def _leg_s(columns: Columns, n: int) -> int:
    """Return the seconds to the order for the slowest courier."""
    return max((matrix.seconds(0, n) for matrix in columns.matrices), default=0)


@dataclass(frozen=True, slots=True)
class Conditional:
    """Plans examples of the future as if each were certain, and sends the orders that must leave now in some of them.

    In one example an order must leave if all of its trip is here and the trip, started with the next wave, would make
    it or a later one of its courier late. Orders that must leave in less than `share` of the examples are kept, and the
    rest is decided again with that fixed, until nothing changes. If in more than `short` of the examples the couriers
    can't serve all orders in time, waiting is dangerous and the decision is `greedy`. Source: "Dynamic vehicle routing
    with time windows: iterative conditional dispatch" (arXiv 2308.14476).
    """

    share: float = 0.2
    short: float = 0.2
    futures: int = 10
    horizon_s: int = 4 * 3600
    """Orders with a later release are ignored."""
    rounds: int = 600
    """Rounds of the search for each future."""
    turns: int = 3
    margin_s: int = 600
    """Seconds by which an order leaves earlier than it must, for events that no example had."""

    def __call__(self, moment: Moment) -> frozenset[str]:
        """Decide. Loads the search; not for the service processes."""
        must = lazy(moment, self.margin_s)
        going = {order.id for order in moment.waiting}
        futures = moment.futures[: self.futures] or ((),)
        for turn in range(self.turns):
            if going == must:
                break
            plans = [self._planned(moment, going, future, 97 * turn + n) for n, future in enumerate(futures)]
            if sum(plan.short for plan in plans) > self.short * len(plans):
                return greedy(moment) | must
            votes = Counter(id for plan in plans for id in plan.must_go(moment, self.margin_s))
            kept = {id for id in going - must if votes[id] < self.share * len(plans)}
            going -= kept
            if not kept:
                break
        return frozenset(going)

    def _planned(self, moment: Moment, may: set[str], future: tuple[Order, ...], seed: int) -> _Days:
        from services.dispatch.planning.search import fleets, search

        near, delays = moment.now_s + self.horizon_s, _delays(moment, seed)
        known = [_expected(order, moment, may, delays) for order in moment.problem.orders if order.release_s <= near]
        coming = [replace(order, id=f"~{order.id}") for order in future if order.release_s <= near]
        problem = replace(moment.problem, orders=(*known, *coming))
        crew = fleets.crew(problem)
        found = search.search(crew.fleet, 0, moment.seed + seed, {}, self.rounds)
        return _Days(Columns(problem), crew.by_courier(found))


class _Days:
    """The couriers' days in one future."""

    def __init__(self, columns: Columns, days: dict[int, list[list[int]]]) -> None:
        self.columns, self.days = columns, days

    @property
    def short(self) -> bool:
        """True if orders are unserved."""
        return sum(len(trip) for trips in self.days.values() for trip in trips) < len(self.columns.orders)

    def must_go(self, moment: Moment, margin_s: int) -> Iterator[str]:
        """Yield the orders of first trips that are complete and can't start at the next wave plus the margin."""
        for c, trips in self.days.items():
            here = all(self.columns.release[n] <= moment.now_s for n in trips[0])
            if here and Day(self.columns, c, trips).latest[1] < moment.next_s + margin_s:
                yield from (self.columns.orders[n].id for n in trips[0])


def _delays(moment: Moment, seed: int) -> dict[int, int]:
    """Return the delay of each line-haul in an example: orders announced for one time arrive together."""
    random = Random(moment.seed + seed)
    announced = sorted({order.release_s for order in moment.problem.orders if order.release_s > moment.now_s})
    return {release: int(random.expovariate(1) * moment.delay_s) for release in announced}


def _expected(order: Order, moment: Moment, may: set[str], delays: dict[int, int]) -> Order:
    """Return the order as it is in an example: one that is kept leaves with the next wave at the earliest, one that is
    not here arrives with its line-haul, but in time for its window."""
    if order.release_s <= moment.now_s:
        return order if order.id in may else replace(order, release_s=moment.next_s)
    latest = max(order.release_s, order.windows[-1].until_s - HOUR_S)
    return replace(order, release_s=min(order.release_s + delays[order.release_s], latest))
