"""A market day under a policy: at each wave it chooses, what it chose is planned, couriers who are there take trips.

All policies have the same planner, couriers and news. Nobody knows an order before it is placed nor when goods really
come before they do.
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
from tests.bench.waves.market import STATION, Ask, MarketDay, crew
from tests.bench.waves.policy import Moment, Policy

LOAD_S = RoutingProblem(STATION, (), ()).load_s
ROUNDS = 2000
"""What the planner of a wave searches; rounds and no clock, so that a day can be replayed."""


@dataclass(frozen=True, slots=True)
class Driven:
    """A trip as it was driven."""

    courier: str
    trip: Trip
    metres: int
    fen: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """A day that is over. `late` orders came after their window, `missed` ones not at all."""

    driven: tuple[Driven, ...]
    late: tuple[str, ...]
    missed: tuple[str, ...]
    slowest_s: float

    @property
    def fen(self) -> int:
        """What all trips cost."""
        return sum(one.fen for one in self.driven)


class Simulation:
    """One day; `others` are the days that examples of the future are taken from."""

    def __init__(self, day: MarketDay, policy: Policy, others: Sequence[MarketDay] = (), rounds: int = ROUNDS) -> None:
        self.day, self.policy, self.others, self.rounds = day, policy, others, rounds
        self.couriers = {courier.id: courier for courier in crew(day.market)}
        self.left = {ask.order.id: ask for ask in day.asks}
        self.driven: list[Driven] = []
        self.slowest_s = 0.0
        delays = [ask.order.release_s - ask.announced_s for other in others for ask in other.asks]
        self.delay_s = sum(delays) // max(1, len(delays))

    def run(self) -> Outcome:
        """The whole day."""
        for now in self.day.waves:
            moment = self.moment(now)
            if moment.waiting:
                began = time.monotonic()
                chosen = self.policy(moment)
                self.slowest_s = max(self.slowest_s, time.monotonic() - began)
                self.send(moment, chosen)
        return outcome(self.day, self.driven, self.slowest_s)

    def moment(self, now: int) -> Moment:
        """What is known at this wave."""
        after = now + self.day.market.wave_min * 60
        known = [self._known(ask, now, after) for ask in self.left.values() if ask.placed_s <= now]
        couriers = tuple(replace(courier, from_s=max(now, courier.from_s)) for courier in self.couriers.values())
        futures = tuple(_coming(other, now) for other in self.others)
        return Moment(now, after, RoutingProblem(STATION, couriers, tuple(known)), futures, now, self.delay_s)

    def _known(self, ask: Ask, now: int, after: int) -> Order:
        """The order as it looks now: goods that are overdue are expected for the next wave, and where the window can't
        be kept any more it is open to the end, and urgent."""
        order, here = ask.order, ask.order.release_s <= now
        if not here:
            order = replace(order, release_s=max(ask.announced_s, after))
        soonest = max(order.release_s, now) + LOAD_S + Estimate([STATION, order.place]).seconds(0, 1)
        return overdue(order, self.day) if soonest > order.windows[-1].until_s else order

    def send(self, moment: Moment, chosen: frozenset[str]) -> None:
        """Plans the chosen orders and hands out the trips of couriers who are there before the next wave."""
        orders = tuple(order for order in moment.waiting if order.id in chosen)
        problem = replace(moment.problem, orders=orders)
        for courier, trip in handed_out(moment, planned(problem, moment.now_s, self.rounds)):
            self.driven.append(drive(problem, courier, trip))
            self.couriers[courier.id] = replace(courier, from_s=trip.end_s)
            for stop in trip.stops:
                del self.left[stop.order]


def planned(problem: RoutingProblem, seed: int, rounds: int) -> Plan:
    """The planner's answer, in so many rounds."""
    return solve(SolveJob(problem, 1e6, time.monotonic(), seed, iterations=rounds))


def handed_out(moment: Moment, plan: Plan) -> list[tuple[Courier, Trip]]:
    """Trips that begin before the next wave; a courier who is there takes the first one in any case."""
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
    """The trip with its cost."""
    model = Columns(replace(problem, couriers=(courier,)))
    metres = timing.metres(model, 0, [[model.number[stop.order] for stop in trip.stops]])
    fen = metres * courier.fen_per_km / 1000 + (trip.end_s - trip.start_s) * courier.fen_per_hour / 3600
    return Driven(courier.id, trip, metres, round(fen))


def overdue(order: Order, day: MarketDay) -> Order:
    """The order as it is planned when its window can't be kept: as soon as possible."""
    return replace(order, windows=(Window(0, int(day.market.shift_until_h * 3600)),), priority=1)


def outcome(day: MarketDay, driven: Sequence[Driven], slowest_s: float = 0.0) -> Outcome:
    """What the trips make of the day."""
    came = {stop.order: stop.eta_s for one in driven for stop in one.trip.stops}
    due = {ask.order.id: ask.order.windows[-1].until_s for ask in day.asks}
    late = tuple(sorted(id for id, eta in came.items() if eta > due[id]))
    return Outcome(tuple(driven), late, tuple(sorted(due.keys() - came.keys())), slowest_s)


def hindsight(day: MarketDay, rounds: int = 20 * ROUNDS) -> Outcome:
    """The day planned as if all of it had been known in the morning: the floor, as near as the search comes to it."""
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
    """What that day asked for after this hour."""
    return tuple(ask.order for ask in day.asks if ask.placed_s > now)
