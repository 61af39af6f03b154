"""One workload on the market: all actors work from its opening until the last order has ended; then the checks run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

from deploy.audit.finding import Finding
from tests.faults import actors, history
from tests.faults.checker import check
from tests.faults.client import Client
from tests.faults.evidence import Evidence
from tests.faults.load import Buyers, Order
from tests.faults.market import receive_lots
from tests.faults.matrix.environment import Environment
from tests.faults.views import all_orders_ended, read_views

BUYERS, POINTS, WAVE_EVERY_S = 12, 1, 8.0
EGGS = 150
ENDED_WITHIN_S = 60.0
PROBES = 6


class WorkloadTerminal(actors.StallTerminal):
    """A terminal for one workload; the next one continues with its device and remaining stock, in a new session."""

    async def run(self, buyers: Buyers) -> None:
        """Sell and upload until the workload ends; then close the session."""
        self.device.record("open", {"float_fen": 1000})
        while not buyers.closing:
            for _ in range(self.rng.choice([0, 0, 1, 2])):
                self._sell()
            await self._sync()
            await asyncio.sleep(0.1)
        self.device.record("close", {"last_seq": len(self.device.recorded) + 1, "cash_fen": 0})
        while self.device.sent < len(self.device.recorded):
            await self._sync()


@dataclass(frozen=True)
class WorkloadResult:
    """The result of a workload.

    - - `caught_up_s`: seconds after the fault until new orders had passed everything that waited.
    - `ended_s`: seconds after the fault until every order had ended.
    - `records`: new records in the topics; `twice`: duplicates among them; `absorbed`: duplicates that inboxes
      reported.
    """

    evidence: Evidence
    findings: list[Finding]
    caught_up_s: float
    ended_s: float
    records: int
    twice: int
    absorbed: int


class Workload:
    """The actors of one workload. `client` counts their answers, `history` the unknown outcomes."""

    def __init__(self, environment: Environment, seed: int) -> None:
        environment.workloads += 1
        self.environment, self._name = environment, f"workload{environment.workloads}"
        self._path = environment.data / f"history-{environment.workloads}.jsonl"
        self.history = history.History(self._path)
        self.client = Client(environment.client_endpoints, self.history)
        self.rng = Random(seed)
        self.buyers = Buyers(self.client, environment.market, self.rng)
        self._records, self._twice, self._absorbed = (
            len(environment.observer.log),
            environment.twice,
            environment.chaos.duplicates,
        )
        self._tasks: dict[str, list[asyncio.Task[Any]]] = {}

    async def begin(self) -> None:
        """Receive new eggs and start all actors."""
        client, buyers, market = self.client, self.buyers, self.environment.market
        await receive_lots(client, market, {"eggs": EGGS}, self._name)
        terminals = [self._terminal(id, site) for id, site in market.terminals.items()]
        couriers = [actors.Courier(client, market, Random(self.rng.random()), id) for id in market.couriers]
        for courier in couriers:
            courier.device = actors.Device(f"phone-{courier.courier}", market, self._name)
        self._start("buyers", *(buyers.buyer() for _ in range(BUYERS)))
        self._start("terminals", *(terminal.run(buyers) for terminal in terminals))
        self._start("riders", *(courier.run(buyers) for courier in couriers))
        self._start("points", *(actors.run_pickup_point(client, buyers, n, POINTS) for n in range(POINTS)))
        self._start("dispatcher", actors.run_dispatcher(client, buyers, WAVE_EVERY_S))

    def _terminal(self, id: str, site: str) -> WorkloadTerminal:
        remaining, market = self.environment.remaining[id], self.environment.market
        terminal = WorkloadTerminal(self.client, market, Random(self.rng.random()), id, site, remaining=remaining)
        terminal.device = actors.Device(f"device-{id}", market, self._name)
        return terminal

    def _start(self, who: str, *coroutines: Coroutine[Any, Any, None]) -> None:
        self._tasks[who] = [asyncio.create_task(one, name=who) for one in coroutines]

    def check_actors(self) -> None:
        """Raise the error that ended an actor."""
        for task in [task for tasks in self._tasks.values() for task in tasks]:
            if task.done():
                task.result()

    def record_join(self, order: str, join: Mapping[str, Any]) -> None:
        """Record that a join of a group-buy became an order, which counts as accepted."""
        body = {"order_id": order, **join}
        operation = history.Operation(f"join-{order}", "place", order, Order(order, body).facts)
        self.history.invoke(operation, 1, body)
        self.history.ok(operation, 1, {"hash": ""})

    async def finish(self) -> WorkloadResult:
        """Stop new business; return when there are no findings, or after a minute."""
        over = time.monotonic()
        self.buyers.closing = True
        caught_up_s = await self._probe() - over
        await asyncio.gather(*self._tasks["buyers"], *self._tasks["terminals"])
        while True:
            after = time.monotonic() - over
            self.check_actors()
            if after > ENDED_WITHIN_S or await all_orders_ended(self.client):
                evidence = await self._evidence()
                findings = await asyncio.to_thread(check, evidence)
                if after > ENDED_WITHIN_S or not findings:
                    break
            await asyncio.sleep(0.3)
        findings += [Finding("broken answer", "client", answer) for answer in self.client.broken]
        self.environment.twice = evidence.duplicates
        return WorkloadResult(
            evidence,
            findings,
            caught_up_s,
            after,
            len(self.environment.observer.log) - self._records,
            evidence.duplicates - self._twice,
            self.environment.chaos.duplicates - self._absorbed,
        )

    async def _probe(self) -> float:
        """Place orders behind everything that waits; return the time at which all had their stock."""
        orders = [self._probe_order() for _ in range(PROBES)]
        await asyncio.gather(*(self.buyers.place(order) for order in orders))
        for order in orders:
            state = "placed"
            while state == "placed":
                shown = await self.client.get("buyer", "orders", f"/v1/orders/{order.id}", wait=2)
                state = shown["state"] if shown else "placed"
        return time.monotonic()

    def _probe_order(self) -> Order:
        site = self.rng.choice(list(self.environment.market.terminals.values()))
        body = {
            "order_id": str(UUID(int=self.rng.getrandbits(128), version=4)),
            "channel": "app",
            "market_day": self.environment.market.day,
            "community": f"{site}-side",
            "recipient": {"name": "某人", "phone": "13800000000"},
            "lines": [{"item": "tea", "quantity": 1}],
            "fulfilment": {"kind": "pickup", "point": f"{site}-point"},
            "payment": "on_account",
        }
        return Order(body["order_id"], body)  # type: ignore[arg-type]

    async def _evidence(self) -> Evidence:
        log = await asyncio.to_thread(self.environment.observer.catch_up)
        entries = await asyncio.to_thread(history.read, self._path)
        records = [record for record in log if record.subject not in self.environment.ignored_subjects]
        return Evidence(
            [*self.environment.entries, *entries],
            records,
            await read_views(self.client),
            frozenset(self.environment.scarce),
        )

    async def stop(self) -> None:
        """Cancel the actors that work without end, and pass the history on to the environment."""
        everybody = [task for tasks in self._tasks.values() for task in tasks]
        for task in everybody:
            task.cancel()
        await asyncio.gather(*everybody, return_exceptions=True)
        await self.client.close()
        self.history.close()
        self.environment.entries += history.read(self._path)
