"""Simulates a market day under a policy: at each wave it chooses orders, and available couriers take their trips.

All policies have the same planner, couriers and information. No policy sees an order before it is placed, or the actual
arrival of goods before it happens.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.dispatch.planning.plan import Plan, Trip
from services.dispatch.planning.problem import Courier, Order, RoutingProblem, Window
from services.dispatch.planning.process.solver import SolveJob, solve
from services.dispatch.planning.schedule import timing
from services.dispatch.planning.schedule.columns import Columns
from services.dispatch.planning.travel.matrix import Estimate
from tests.bench.waves.market import STATION, MarketDay, PlacedOrder, crew
from tests.bench.waves.policy import Moment, Policy

LOAD_S = RoutingProblem(STATION, (), ()).load_s
ROUNDS = 2000
"""Rounds of a wave's search; not seconds, so that a day can be repeated."""


@dataclass(frozen=True, slots=True)
class Driven:
    """A driven trip with its cost."""

    courier: str
    trip: Trip
    metres: int
    fen: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a day. `late` orders were served after their window, `missed` ones never."""

    driven: tuple[Driven, ...]
    late: tuple[str, ...]
    missed: tuple[str, ...]
    slowest_s: float

    @property
    def fen(self) -> int:
        """The cost of all trips."""
        return sum(one.fen for one in self.driven)


class Simulation:
    """The simulation of one day. `others` are the days from which examples of the future are taken."""

    def __init__(self, day: MarketDay, policy: Policy, others: Sequence[MarketDay] = (), rounds: int = ROUNDS) -> None:
        self.day, self.policy, self.others, self.rounds = day, policy, others, rounds
        self.couriers = {courier.id: courier for courier in crew(day.market)}
        self.left = {placed.order.id: placed for placed in day.placed}
        self.driven: list[Driven] = []
        self.slowest_s = 0.0
        delays = [placed.order.release_s - placed.announced_s for other in others for placed in other.placed]
        self.delay_s = sum(delays) // max(1, len(delays))

    def run(self) -> Outcome:
        """Simulate the whole day."""
        for now in self.day.waves:
            moment = self.moment(now)
            if moment.waiting:
                began = time.monotonic()
                chosen = self.policy(moment)
                self.slowest_s = max(self.slowest_s, time.monotonic() - began)
                self.send(moment, chosen)
        return outcome(self.day, self.driven, self.slowest_s)

    def moment(self, now: int) -> Moment:
        """Return the information at this wave."""
        after = now + self.day.market.wave_min * 60
        known = [self._known(placed, now, after) for placed in self.left.values() if placed.placed_s <= now]
        couriers = tuple(replace(courier, from_s=max(now, courier.from_s)) for courier in self.couriers.values())
        futures = tuple(_coming(other, now) for other in self.others)
        return Moment(now, after, RoutingProblem(STATION, couriers, tuple(known)), futures, now, self.delay_s)

    def _known(self, placed: PlacedOrder, now: int, after: int) -> Order:
        """Return the order as it is known now: overdue goods are expected for the next wave; an order that can't be in
        its window any more is urgent, with a window until the end of the shift."""
        order, here = placed.order, placed.order.release_s <= now
        if not here:
            order = replace(order, release_s=max(placed.announced_s, after))
        soonest = max(order.release_s, now) + LOAD_S + Estimate([STATION, order.place]).seconds(0, 1)
        return overdue(order, self.day) if soonest > order.windows[-1].until_s else order

    def send(self, moment: Moment, chosen: frozenset[str]) -> None:
        """Plan the chosen orders and assign the trips of couriers who are there before the next wave."""
        orders = tuple(order for order in moment.waiting if order.id in chosen)
        problem = replace(moment.problem, orders=orders)
        for courier, trip in handed_out(moment, planned(problem, moment.now_s, self.rounds)):
            self.driven.append(drive(problem, courier, trip))
            self.couriers[courier.id] = replace(courier, from_s=trip.end_s)
            for stop in trip.stops:
                del self.left[stop.order]


def planned(problem: RoutingProblem, seed: int, rounds: int) -> Plan:
    """Return the planner's answer, in so many rounds."""
    return solve(SolveJob(problem, 1e6, time.monotonic(), seed, iterations=rounds))


def handed_out(moment: Moment, plan: Plan) -> list[tuple[Courier, Trip]]:
    """Return the trips that start before the next wave; a courier who is there takes the first one in any case."""
    couriers = {courier.id: courier for courier in moment.problem.couriers}
    found = []
    for route in plan.routes:
        courier = couriers[route.courier]
        for n, trip in enumerate(route.trips):
            ready = courier.from_s if n == 0 else trip.start_s
            if ready >= moment.next_s:
                break
            found.append((courier, trip))
    return found


def drive(problem: RoutingProblem, courier: Courier, trip: Trip) -> Driven:
    """Return the trip with its cost."""
    columns = Columns(replace(problem, couriers=(courier,)))
    metres = timing.metres(columns, 0, [[columns.number[stop.order] for stop in trip.stops]])
    fen = metres * courier.fen_per_km / 1000 + (trip.end_s - trip.start_s) * courier.fen_per_hour / 3600
    return Driven(courier.id, trip, metres, round(fen))


def overdue(order: Order, day: MarketDay) -> Order:
    """Return the order as planned when its window can't be kept: as early as possible."""
    return replace(order, windows=(Window(0, int(day.market.shift_until_h * 3600)),), priority=1)


def outcome(day: MarketDay, driven: Sequence[Driven], slowest_s: float = 0.0) -> Outcome:
    """Return the outcome of the day from its trips."""
    came = {stop.order: stop.eta_s for one in driven for stop in one.trip.stops}
    due = {placed.order.id: placed.order.windows[-1].until_s for placed in day.placed}
    late = tuple(sorted(id for id, eta in came.items() if eta > due[id]))
    return Outcome(tuple(driven), late, tuple(sorted(due.keys() - came.keys())), slowest_s)


def hindsight(day: MarketDay, rounds: int = 20 * ROUNDS) -> Outcome:
    """Return the day planned as if all orders had been known in the morning: about the lower bound of the cost."""
    plan, problem = planned(day.problem, 1, rounds), day.problem
    lost = {gone.order for gone in plan.unserved}
    if lost:
        orders = tuple(overdue(order, day) if order.id in lost else order for order in problem.orders)
        plan, problem = planned(replace(problem, orders=orders), 1, rounds), replace(problem, orders=orders)
    couriers = {courier.id: courier for courier in problem.couriers}
    return outcome(
        day, [drive(problem, couriers[route.courier], trip) for route in plan.routes for trip in route.trips]
    )


def _coming(day: MarketDay, now: int) -> tuple[Order, ...]:
    """Return the orders that the day placed after this time."""
    return tuple(placed.order for placed in day.placed if placed.placed_s > now)
