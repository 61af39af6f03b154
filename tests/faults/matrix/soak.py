"""Runs orders at a steady rate for a long time, with a kill -9 now and then, and watches memory: `python -m
tests.faults.matrix.soak`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from confluent_kafka import KafkaException

from deploy.audit.invariants.facts import Fact
from deploy.audit.invariants.orders import STATES, TERMINAL
from deploy.local.data.options import Options
from deploy.local.stack import Stack
from deploy.scenarios.actors import requests
from deploy.scenarios.actors.client import HttpClient
from tests.faults import actors
from tests.faults.chaos import PROCESSES, Chaos
from tests.faults.client import HistoryClient, http_client
from tests.faults.history import History
from tests.faults.load import Buyers, pickup_order
from tests.faults.market import SITES, Market, new_market, open_market
from tests.faults.matrix import memory
from tests.faults.observer import Observer

BATCH, SENDERS, HOLD_S = 20, 24, 6
COLLECTED = 0.05
"""Share of orders that are collected. The others are never paid: their stock is held and released, and they expire,
which is the same work for the services and none for the clients.
"""
ENDED_WITHIN_S = 120.0


class SequenceChecker(Observer):
    """Keeps only the evidence that nothing is lost: the last number and state of each subject, the number of duplicate
    records (`twice`), and the gaps found (`wrong`).
    """

    def __init__(self, kafka: Any) -> None:
        super().__init__(kafka)
        self.numbers: dict[tuple[str, str], int] = defaultdict(int)
        self.states: dict[str, str] = {}
        self.records, self.twice = 0, 0
        self.wrong: list[str] = []

    def _store(self, record: Fact) -> None:
        self.records += 1
        if not record.seq:
            return
        about = (record.topic, record.subject)
        if record.seq <= self.numbers[about]:
            self.twice += 1
            return
        if record.seq != self.numbers[about] + 1:
            self.wrong.append(f"{about}: {record.seq} after {self.numbers[about]}")
        self.numbers[about] = record.seq
        if record.topic == "orders.order.v1" and record.type in STATES:
            self.states[record.subject] = STATES[record.type]


@dataclass
class Soak:
    """One run. `accepted`: ids of orders answered 201; `max_lateness_s`: the longest delay of a batch."""

    market: Market
    client: HistoryClient
    chaos: Chaos
    sequences: SequenceChecker
    http: HttpClient
    rng: Random
    accepted: set[str] = field(default_factory=set)
    answers: Counter[int] = field(default_factory=Counter)
    max_lateness_s: float = 0.0
    memory: memory.Memory = field(default_factory=memory.Memory)

    async def run(self, seconds: float, rate: float, kill_every: float) -> None:
        """Return when the time is over and every batch was answered."""
        began = time.monotonic()
        buyers = Buyers(self.client, self.market, self.rng)
        beside = [
            asyncio.create_task(task)
            for task in (
                self._kill(kill_every),
                self._watch(),
                self._read(),
                actors.run_pickup_point(self.client, buyers, 0, 1),
            )
        ]
        due = iter(self._due(began, seconds, rate))
        await asyncio.gather(*(self._sender(due) for _ in range(SENDERS)))
        beside[0].cancel()
        await self._all_ended()
        for task in beside:
            task.cancel()
        for ended in await asyncio.gather(*beside, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended

    def _due(self, began: float, seconds: float, rate: float) -> Iterator[float]:
        """Yield the instants at which a batch is due."""
        for n in range(int(seconds * rate / BATCH)):
            yield began + n * BATCH / rate

    async def _sender(self, due: Iterator[float]) -> None:
        for at in due:
            await asyncio.sleep(max(0.0, at - time.monotonic()))  # pause: the rate
            self.max_lateness_s = max(self.max_lateness_s, time.monotonic() - at)
            await self._send([self._order() for _ in range(BATCH)])

    async def _send(self, orders: list[dict[str, Any]]) -> None:
        """Send the same list until every order in it has its answer."""
        while orders:
            answer = await self.http.send(requests.place_batch(orders))
            self.answers[answer.status] += 1
            if not answer.ok:
                await asyncio.sleep(0.3)  # pause: before the next try
                continue
            lines = zip(orders, answer.body["answers"], strict=True)
            done = {order["order_id"]: one["status"] for order, one in lines}
            self.accepted |= {id for id, status in done.items() if status == 201}
            orders = [order for order in orders if done[order["order_id"]] >= 500]

    def _order(self) -> dict[str, Any]:
        site, item = self.rng.choice(SITES), self.rng.choice(["apples", "tea"])
        payment = "on_account" if self.rng.random() < COLLECTED else "pending"
        return pickup_order(self.market, self.rng, item, site=site, payment=payment)

    async def _kill(self, every: float) -> None:
        while True:
            for name in self.rng.sample(PROCESSES, len(PROCESSES)):
                await asyncio.sleep(every)  # pause: the fault itself
                await self.chaos.kill(name)

    async def _watch(self) -> None:
        while True:
            self.memory.sample(self.chaos.pids())
            await asyncio.sleep(memory.EVERY_S)  # pause: between samples

    async def _read(self) -> None:
        while True:
            with suppress(KafkaException):  # the broker is unavailable
                await asyncio.to_thread(self.sequences.catch_up, 300)
            await asyncio.sleep(1)  # pause: between reads

    async def _all_ended(self) -> None:
        deadline = time.monotonic() + ENDED_WITHIN_S
        while self.unfinished() and time.monotonic() < deadline:
            await asyncio.sleep(0.5)

    def unfinished(self) -> list[str]:
        """Return the accepted orders that have not ended, by the log."""
        return [order for order in self.accepted if self.sequences.states.get(order) not in TERMINAL]


async def play(stack: Stack, seconds: float, rate: float, kill_every: float) -> Soak:
    """Run a soak on a fresh stack."""
    found, market = stack.endpoints(), new_market()
    written = History(stack.data / "history.jsonl")
    http, sequences = http_client(found), SequenceChecker(found["kafka"])
    client = HistoryClient(http, written)
    try:
        await open_market(client.persistent, market)
        soak = Soak(market, client, Chaos(stack.data), sequences, http, Random(1))
        await soak.run(seconds, rate, kill_every)
        return soak
    finally:
        await http.close()
        sequences.close()
        written.close()


def main() -> int:
    """Return 0 only if nothing was lost, no number is missing, and memory stayed flat."""
    parser = argparse.ArgumentParser(prog="halfday faults soak")
    parser.add_argument("--minutes", type=float, default=10.0, help="duration (10)")
    parser.add_argument("--rate", type=float, default=200.0, help="orders a second (200)")
    parser.add_argument("--kill-every", type=float, default=20.0, help="seconds between kills (20)")
    parser.add_argument("--report", type=Path, help="write the report there too")
    given = parser.parse_args()
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="halfday-soak-") as folder,
        patch.dict(os.environ, HALFDAY_HOLD_TTL_S=str(HOLD_S)),
        ThreadPoolExecutor(1) as apart,
        Stack(Path(folder), Options()) as stack,
    ):
        stack.wait_ready(90)
        soak = apart.submit(asyncio.run, play(stack, 60 * given.minutes, given.rate, given.kill_every)).result()
    text = report(soak, time.monotonic() - began)
    print(text)
    if given.report:
        given.report.write_text(text)
    return 0 if ok(soak) else 1


def ok(soak: Soak) -> bool:
    """Return True if all of it held."""
    return bool(soak.accepted) and not soak.unfinished() and not soak.sequences.wrong and not soak.memory.growth()


def report(soak: Soak, seconds: float) -> str:
    """Return the figures as Markdown."""
    states = Counter(soak.sequences.states[order] for order in soak.accepted if order in soak.sequences.states)
    slow_s, slow = soak.chaos.slowest
    facts = [
        f"{len(soak.accepted)} orders accepted in {seconds:.0f} s in all: {_counts(states)}",
        f"{len(soak.unfinished())} lost or not ended",
        f"{len(soak.chaos.killed)} kills -9: {_counts(Counter(soak.chaos.killed))}",
        f"slowest restart: {slow}, {slow_s:.1f} s",
        f"answers to batches of {BATCH}: {_counts(soak.answers)} (0: the connection died)",
        f"largest delay of a batch {soak.max_lateness_s:.1f} s",
        f"{soak.sequences.records} records, {soak.sequences.twice} duplicates; "
        f"{len(soak.sequences.wrong)} numbers missing or out of order",
    ]
    lines = [f"# Soak: {'held' if ok(soak) else 'BROKEN'}", "", *(f"- {fact}" for fact in facts), ""]
    return "\n".join([*lines, *soak.memory.table(), *soak.sequences.wrong[:10], *soak.memory.growth()]) + "\n"


def _counts(counts: Counter[Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=str))


if __name__ == "__main__":
    sys.exit(main())
