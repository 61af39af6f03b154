"""The planning loop, the dispatcher (cuts, releases, reassigns), and couriers, online and offline."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import replace
from typing import Any
from uuid import UUID

from services.dispatch.api import courier as couriers
from services.dispatch.api.schemas.courier import SyncBody
from services.dispatch.commands.job import reassign
from services.dispatch.commands.planning import answer_next_wave, plan_next_wave
from services.dispatch.commands.wave import cut_by_operator, finish_ended_waves, release_by_operator
from services.dispatch.domain.job.job import HANDED_OUT, Job
from services.dispatch.planning.plan import Plan, Route, Stop, Trip, Unserved
from services.dispatch.planning.problem import RoutingProblem
from services.dispatch.planning.process.planner import Choice, Planner
from services.kit.http.problems import Problem
from tests.simulation.buyers import Buyers
from tests.simulation.market import COURIERS, WAVES, Market, as_sent, hour
from tests.simulation.processes import Process, World, only_transient
from tests.simulation.scheduler import pause


class SimPlanner(Planner):
    """Stand-in behind the planner's port: takes its time, and leaves out a job now and then."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def search(self, problem: RoutingProblem, budget_s: float) -> Choice:
        orders, courier_ids = [order.id for order in problem.orders], [courier.id for courier in problem.couriers]
        chance = random.Random(" ".join(orders))  # the same problem has the same plan, on either database
        left = {order for order in orders if chance.random() < 0.08 or not courier_ids}
        served = [order for order in orders if order not in left]
        start = int(hour(11).timestamp())
        routes = []
        for n, courier in enumerate(courier_ids):
            stops = tuple(Stop(order, start + 60 * i) for i, order in enumerate(served[n :: len(courier_ids)]))
            if stops:
                routes.append(Route(courier, (Trip(start, start + 3600, stops),)))
        if not self.world.mirror:
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
            process.do(work),
            "planning loop",
            lambda more, error: self.wake_up(1) if more or error else None,
            self._lost,
        )
        return None

    def _lost(self) -> None:
        self.wake_up(18)  # by then its lease on the wave has expired


class Dispatcher:
    """Cuts some waves early, releases every planned one, and reassigns some jobs."""

    def __init__(self, market: Market) -> None:
        self.market, self.rng = market, market.rng
        for wave, (cutoff, _, until) in WAVES.items():
            if market.chance(0.3):
                market.at(cutoff - self.rng.uniform(0, 2), self._send, wave, f"cut {wave}", cut_by_operator)
            market.at(cutoff + self.rng.uniform(0, 0.6), self.release, wave)
            if market.chance(0.4):
                market.at(self.rng.uniform(cutoff + 0.3, until), self._reassign)

    def _send(self, wave: str, what: str, route: Any, on_answer: Any = None) -> None:
        self.market.client.send("dispatch", what, lambda p: route(p.context, wave), on_answer)

    def release(self, wave: str) -> None:
        """Release the wave, repeatedly until it is planned."""

        def on_answer(answer: Any) -> None:
            if isinstance(answer, Problem):
                self.market.at(self.market.now + self.rng.uniform(0.05, 0.3), self.release, wave)

        self._send(wave, f"release {wave}", release_by_operator, on_answer)

    def _reassign(self) -> None:
        rng, client = self.rng, self.market.client
        one, other = rng.sample(COURIERS, 2)

        def on_answer(route: list[tuple[Job, Any]]) -> None:
            out = [job for job, _ in route if job.state in HANDED_OUT]
            for job in out[: rng.randint(0, 2)]:
                client.send("dispatch", f"give {job.id} to {other}", _reassigned(job.id, other, job.epoch))

        client.send("dispatch", f"look at {one}'s route", lambda p: p.context.store.read_route(one), on_answer)


def _reassigned(job: UUID, courier: str, epoch: int) -> Any:
    async def work(process: Process) -> Any:
        try:
            return await reassign(process.context, job, courier, epoch)
        except Problem as refused:
            return refused

    return work


class Courier:
    """One device with one session; reports on every job of its route when it first appears in an epoch."""

    def __init__(self, market: Market, courier: str, buyers: Buyers) -> None:
        self.market, self.rng, self.courier, self._buyers = market, market.rng, courier, buyers
        self._handled: set[tuple[UUID, int]] = set()
        self._queue: list[dict[str, Any]] = []
        self._seq = 0
        rng = self.rng
        for n in range(9):
            market.at(10 + n + rng.uniform(0, 0.9), self.look)
            market.at(10 + n + rng.uniform(0, 0.9), self._sync)

    def look(self) -> None:
        """Read the route and report on its new jobs."""
        read = lambda p: p.context.store.read_route(self.courier)  # noqa: E731
        self.market.client.send("dispatch", f"route of {self.courier}", read, self._report_new_jobs)

    def _report_new_jobs(self, route: list[tuple[Job, Any]]) -> None:
        for job, _ in route:
            if job.state in HANDED_OUT and (job.id, job.epoch) not in self._handled:
                self._handled.add((job.id, job.epoch))
                self._report_job(job)

    def _report_job(self, job: Job) -> None:
        rng = self.rng
        about = {"job": job.id, "epoch": job.epoch}
        order = self._buyers.accepted.get(job.order)
        code = order.terms.code if order else None
        if rng.random() < 0.8:
            self._record("load", about)
        if rng.random() < 0.2:
            self._record("fail", about | {"reason": "not-home"})
        if rng.random() < 0.15:
            self._record("deliver", about | {"code": "no code"})
        if code and rng.random() < 0.85:
            self._record("deliver", about | {"code": code})
        else:
            self._record("return", about | {"reason": "refused"})

    def _record(self, kind: str, body: dict[str, Any]) -> None:
        self._seq += 1
        recorded = self.market.clock.now()
        upload = {"session": "a", "seq": self._seq, "recorded_at": recorded, "kind": kind, "body": body}
        self._queue.append(upload)

    def _sync(self) -> None:
        rng, queue = self.rng, list(self._queue)
        if rng.random() < 0.5:
            rng.shuffle(queue)
            queue = queue[: rng.randint(0, len(queue))]
        self._send(queue)

    def _send(self, uploads: list[dict[str, Any]]) -> None:
        if not uploads:
            return
        body = SyncBody.model_validate(as_sent({"device": f"dev-{self.courier}", "uploads": uploads}))

        def on_answer(answer: Any) -> None:
            through = answer.sessions[0].received_through
            if self.rng.random() < 0.8:
                self._queue = [one for one in self._queue if one["seq"] > through]

        what = f"sync {self.courier} ({len(uploads)})"
        self.market.client.send(
            "dispatch", what, lambda p: couriers.sync(p.context, "courier", self.courier, body), on_answer
        )

    def finish(self) -> None:
        """Continue until no job is in progress."""
        self.look()
        self._send(list(self._queue))
