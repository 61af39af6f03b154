"""The planning loop, the dispatcher (cuts, releases, reassigns), and couriers, online and offline."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import replace
from uuid import UUID

from deploy.scenarios.actors import couriers, dispatchers, requests
from deploy.scenarios.actors.client import Refused, call
from deploy.scenarios.actors.devices import Device, Upload
from services.dispatch.commands.planning import answer_next_wave, plan_next_wave
from services.dispatch.commands.wave import finish_ended_waves
from services.dispatch.planning.plan import Plan, Route, Stop, Trip, Unserved
from services.dispatch.planning.problem import RoutingProblem
from services.dispatch.planning.process.planner import Choice, Planner
from tests.simulation.buyers import Buyers
from tests.simulation.market import COURIERS, WAVES, Market, hour
from tests.simulation.processes import Process, World, only_transient
from tests.simulation.scheduler import pause


class SimPlanner(Planner):
    """Stand-in behind the planner's port: takes its time, and leaves out a job now and then."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def search(self, problem: RoutingProblem, budget_s: float) -> Choice:
        orders, courier_ids = [order.id for order in problem.orders], [courier.id for courier in problem.couriers]
        chance = random.Random(" ".join(orders))  # the same problem has the same plan
        left = {order for order in orders if chance.random() < 0.08 or not courier_ids}
        served = [order for order in orders if order not in left]
        start = int(hour(11).timestamp())
        routes = []
        for n, courier in enumerate(courier_ids):
            stops = tuple(Stop(order, start + 60 * i) for i, order in enumerate(served[n :: len(courier_ids)]))
            if stops:
                routes.append(Route(courier, (Trip(start, start + 3600, stops),)))
        await pause(self.world.rng.uniform(0, budget_s))
        unserved = tuple(Unserved(order, "no room") for order in orders if order in left)
        return Choice(Plan(tuple(routes), unserved, 0, "sim"), "the only one")

    async def insert_late(self, problem: RoutingProblem, plan: Plan, late: Collection[str], now_s: int) -> Plan:
        """Late orders form the last route; now and then one does not fit."""
        known = {order.id for order in problem.orders} - set(late)
        chance = random.Random(" ".join(late))
        taken = [order for order in late if problem.couriers and chance.random() < 0.7]
        left = tuple(Unserved(order, "no room") for order in late if order not in taken)
        routes = [replace(route, trips=tuple(_kept(trip, known) for trip in route.trips)) for route in plan.routes]
        if taken:
            stops = tuple(Stop(order, now_s + 60 * i) for i, order in enumerate(taken))
            routes.append(Route(problem.couriers[0].id, (Trip(now_s, now_s + 3600, stops),)))
        return Plan(tuple(routes), left, 0, "late")


def _kept(trip: Trip, known: Collection[str]) -> Trip:
    return replace(trip, stops=tuple(stop for stop in trip.stops if stop.order in known))


class PlanningLoop:
    """The worker's planning loop, one step whenever there may be work."""

    def __init__(self, world: World) -> None:
        self.world, self.planner, self._waiting = world, SimPlanner(world), False

    def wake_up(self, after: float = 0.0) -> None:
        if not self._waiting:
            self._waiting = True
            self.world.scheduler.after(after + self.world.delay(), self._look)

    def _look(self) -> None:
        self._waiting = False
        process = self.world.processes["dispatch.worker"]
        if not process.up or process.frozen > self.world.scheduler.now:
            return self.wake_up(5)

        async def work(process: Process) -> bool:
            context, planner = process.context, self.planner
            found = await plan_next_wave(context, planner) or await answer_next_wave(context, planner)
            return found or await finish_ended_waves(context)

        if self.world.rng.random() < self.world.faults.second_owner:
            process.run(work(process), "another worker's planning loop", only_transient)
        process.run(
            work(process),
            "planning loop",
            lambda more, error: self.wake_up(1) if more or error else None,
            self._lost,
        )
        return None

    def _lost(self) -> None:
        self.wake_up(18)  # by then its lease on the wave has expired


class Dispatcher(dispatchers.Dispatcher):
    """Cuts some waves early, releases every planned one, and reassigns some jobs."""

    def __init__(self, market: Market) -> None:
        super().__init__(market.client)
        self.market, self.rng = market, market.rng
        for wave, (cutoff, _, until) in WAVES.items():
            if market.chance(0.3):
                market.at(cutoff - self.rng.uniform(0, 2), self.cut, wave)
            market.at(cutoff + self.rng.uniform(0, 0.6), self._release_when_planned, wave)
            if market.chance(0.4):
                market.at(self.rng.uniform(cutoff + 0.3, until), self._reassign_some)

    async def _release_when_planned(self, wave: str) -> None:
        while not await self._try_release(wave):
            await self.market.pause(self.rng.uniform(0.05, 0.3))

    async def _try_release(self, wave: str) -> bool:
        """Return False where the wave is not planned, or not in the catalogue yet."""
        try:
            return await self.release(wave)
        except Refused:
            return False

    async def _reassign_some(self) -> None:
        one, other = self.rng.sample(COURIERS, 2)
        stops = (await call(self.client, requests.read_route(one)))["stops"]
        out = [stop for stop in stops if stop["state"] in {"assigned", "loaded"}]
        for stop in out[: self.rng.randint(0, 2)]:
            self.market.after(0, self.reassign, stop, other)


class Courier(couriers.Courier):
    """One device with one session; reports on every job of its route when it first appears in an epoch."""

    def __init__(self, market: Market, courier: str, buyers: Buyers) -> None:
        super().__init__(market.client, Device(f"courier/{courier}", f"dev-{courier}", "a"), courier)
        self.market, self.rng, self._buyers = market, market.rng, buyers
        self._handled: set[tuple[str, int]] = set()
        rng = self.rng
        for n in range(9):
            market.at(10 + n + rng.uniform(0, 0.9), self.look)
            market.at(10 + n + rng.uniform(0, 0.9), self._upload_some)

    async def look(self) -> None:
        """Read the route and report on its new jobs."""
        for stop in await self.route():
            key = (stop["job"], stop["epoch"])
            if stop["state"] in {"assigned", "loaded"} and key not in self._handled:
                self._handled.add(key)
                self._visit(stop)

    def _visit(self, stop: couriers.Stop) -> None:
        rng, buyer = self.rng, self._buyers.following.get(UUID(stop["order"]))
        loaded, missed, wrong_code = rng.random() < 0.8, rng.random() < 0.2, rng.random() < 0.15
        code = buyer.code if buyer and rng.random() < 0.85 else None
        self.visit(self.market.clock.now(), stop, couriers.Visit(loaded, missed, wrong_code, code))

    async def _upload_some(self) -> None:
        rng, queue = self.rng, self.device.unconfirmed
        if rng.random() < 0.5:
            rng.shuffle(queue)
            queue = queue[: rng.randint(0, len(queue))]
        await self._upload(queue)

    async def _upload(self, uploads: list[Upload]) -> None:
        if uploads:
            answer = await self.sync(uploads)
            if self.rng.random() < 0.8:
                self.device.confirm(answer["sessions"][0]["received_through"])

    def finish(self) -> None:
        """Continue until no job is in progress."""
        self.market.after(0, self.look)
        self.market.after(0, self._upload, self.device.unconfirmed)
