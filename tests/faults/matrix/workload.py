"""One workload on the market: all actors work from its opening until the last order has ended; then the checks run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from deploy.audit.finding import Finding
from deploy.scenarios.actors.buyers import Buyer
from tests.faults import actors, history
from tests.faults.checker import check
from tests.faults.client import HistoryClient, http_client
from tests.faults.evidence import Evidence
from tests.faults.load import Buyers, pickup_order
from tests.faults.market import receive_lots
from tests.faults.matrix.environment import Environment
from tests.faults.operations import order_facts
from tests.faults.views import all_orders_ended, read_views

BUYERS, POINTS, WAVE_EVERY_S = 12, 1, 8.0
EGGS = 150
ENDED_WITHIN_S = 60.0
PROBES = 6


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
        self._http = http_client(environment.client_endpoints)
        self.client = HistoryClient(self._http, self.history)
        self.rng = Random(seed)
        self.buyers = Buyers(self.client, environment.market, self.rng)
        self._records, self._twice, self._absorbed = (
            len(environment.observer.log),
            environment.twice,
            environment.chaos.duplicates,
        )
        self.crew = actors.Crew(self.client, self.buyers, self._name)

    async def begin(self) -> None:
        """Receive new eggs and start all actors."""
        await receive_lots(self.client.persistent, self.environment.market, {"eggs": EGGS}, self._name)
        self.crew.begin(BUYERS, POINTS, WAVE_EVERY_S, self._sell)

    async def _sell(self, terminal: actors.StallTerminal) -> None:
        """Let a terminal go on with its remaining stock, in a new session."""
        terminal.left = self.environment.remaining[terminal.terminal]
        await terminal.sell_until_closing(self.buyers, 0.1)

    def record_join(self, order: str, join: Mapping[str, Any]) -> None:
        """Record that a join of a group-buy became an order, which counts as accepted."""
        body = {"order_id": order, **join}
        operation = history.Operation(f"join-{order}", "place", order, order_facts(body))
        self.history.invoke(operation, 1, body)
        self.history.ok(operation, 1, {"hash": ""})

    async def finish(self) -> WorkloadResult:
        """Stop new business; return when there are no findings, or after a minute."""
        over = time.monotonic()
        self.buyers.closing = True
        caught_up_s = await self._probe() - over
        await self.crew.close()
        while True:
            after = time.monotonic() - over
            self.crew.check()
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
        market, sites = self.environment.market, list(self.environment.market.terminals.values())
        bodies = [
            pickup_order(market, self.rng, "tea", site=self.rng.choice(sites), payment="on_account")
            for _ in range(PROBES)
        ]
        probes = [Buyer(self.client.persistent, body) for body in bodies]
        await asyncio.gather(*map(self.buyers.place, probes))
        for probe in probes:
            while (await probe.read(wait=2))["state"] == "placed":
                pass
        return time.monotonic()

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
        await self.crew.stop()
        await self._http.close()
        self.history.close()
        self.environment.entries += history.read(self._path)
