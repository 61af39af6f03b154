"""Kills each process of a stack under load in turn: nothing is lost, duplicated or oversold."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from deploy import audit
from deploy.audit.finding import Finding
from deploy.local.data.options import Options
from deploy.local.stack import Stack
from tests.faults import actors, history, market
from tests.faults.chaos import CRASH_POINTS, PROCESSES, Chaos, program
from tests.faults.checker import check
from tests.faults.client import HistoryClient, http_client
from tests.faults.diagnosis import diagnose
from tests.faults.evidence import Evidence
from tests.faults.load import BUYERS, HOLD_S, Buyers
from tests.faults.observer import Observer
from tests.faults.views import all_orders_ended, read_views

IN_FLIGHT, KILLS, ENDED_WITHIN_S = 50, 20, 45.0
POINTS = 2

pytestmark = pytest.mark.stack


@dataclass
class Run:
    """One run with all its participants. `min_in_flight` is the lowest number of requests observed in flight."""

    data: Path
    client: HistoryClient
    buyers: Buyers
    chaos: Chaos
    observer: Observer
    history: history.History
    rng: Random
    crew: actors.Crew
    min_in_flight: int = BUYERS

    def begin(self, wave_every_s: float) -> None:
        """Start all actors."""
        self.crew.begin(BUYERS, POINTS, wave_every_s, lambda terminal: terminal.run(self.buyers))
        self.crew.start("restock", actors.restock(self.client, self.buyers.market, self.buyers))
        self.crew.start("watch", self._watch(), self.chaos.count_duplicates())

    async def _watch(self) -> None:
        while not self.buyers.closing:
            self.min_in_flight = min(self.min_in_flight, self.client.in_flight)
            await asyncio.sleep(0.02)

    async def evidence(self) -> Evidence:
        """Collect the evidence of this moment."""
        log = await asyncio.to_thread(self.observer.catch_up)
        entries = await asyncio.to_thread(history.read, self.data / "history.jsonl")
        return Evidence(entries, list(log), await read_views(self.client), frozenset({market.SCARCE}))


@contextmanager
def running_stack(data: Path) -> Iterator[Stack]:
    """A stack of its own, ready."""
    (data / "marks").mkdir()
    armed = program(data / "marks", HALFDAY_HOLD_TTL_S=str(HOLD_S))
    with Stack(data, Options(), program=armed, say=print) as stack:
        stack.wait_ready(90)
        yield stack


@asynccontextmanager
async def open_run(stack: Stack, seed: int) -> AsyncIterator[Run]:
    """An open market and all its actors."""
    written = history.History(stack.data / "history.jsonl")
    http, rng, day = http_client(stack.endpoints()), Random(seed), market.new_market()
    client, observer = HistoryClient(http, written), Observer(stack.endpoints()["kafka"])
    buyers = Buyers(client, day, rng)
    crew = actors.Crew(client, buyers, "s1")
    run = Run(stack.data, client, buyers, Chaos(stack.data), observer, written, rng, crew)
    try:
        await market.open_market(client.persistent, day)
        yield run
    finally:
        await run.crew.stop()
        await http.close()
        observer.close()
        written.close()


async def kill_processes(run: Run, seconds: float) -> None:
    """Let each worker die at its crash point, then kill every process in turn, at least 20 times in all."""
    began = time.monotonic()
    for name in CRASH_POINTS:
        await run.chaos.crash(name)
        run.crew.check()
    while len(run.chaos.killed) < KILLS or time.monotonic() - began < seconds:
        for name in run.rng.sample(PROCESSES, len(PROCESSES)):
            await run.chaos.kill(name)
            run.crew.check()
            if len(run.chaos.killed) >= KILLS and time.monotonic() - began > seconds:
                return


async def settle(run: Run) -> tuple[Evidence, list[Finding], float]:
    """Return the evidence as soon as it has no findings, or as it is 45 s after the last fault, with the findings and
    the seconds since. Findings at that time come with a diagnosis of the stack on stdout.

    Checks run in another thread, and only once the orders report that they have ended: until then the actors need the
    CPU.
    """
    while True:
        after = time.monotonic() - run.chaos.last_fault
        run.crew.check()
        if after > ENDED_WITHIN_S or await all_orders_ended(run.client):
            evidence = await run.evidence()
            findings = await asyncio.to_thread(check, evidence)
            if findings and after > ENDED_WITHIN_S:
                print(await diagnose(run.data))
            if after > ENDED_WITHIN_S or not findings:
                return evidence, findings, after
        await asyncio.sleep(0.5)


def run_under_kills(data: Path, seconds: float) -> None:
    """Run a whole test. The actors have a thread with an event loop of their own."""
    seed = int(os.environ.get("HALFDAY_SEED") or time.time())
    print(f"HALFDAY_SEED={seed}, history and logs in {data}")
    with ThreadPoolExecutor(1) as apart, running_stack(data) as stack:
        apart.submit(asyncio.run, run_market(stack, seed, seconds)).result()
        verdict = audit.run(data / "endpoints.json", require_terminal=True)
    assert verdict.ok, "\n".join(verdict.lines)


async def run_market(stack: Stack, seed: int, seconds: float) -> None:
    """Play one run from its start to its verdict."""
    async with open_run(stack, seed) as run:
        run.begin(wave_every_s=max(8.0, seconds / 40))
        await kill_processes(run, seconds)
        await run.crew.close()
        evidence, findings, took = await settle(run)
        report(run, evidence, took)
        assert not findings, "\n".join(map(str, findings[:30]))
        assert not run.client.broken, run.client.broken[:5]
        assert took <= ENDED_WITHIN_S
        assert_conclusive(run, evidence)


def report(run: Run, evidence: Evidence, took: float) -> None:
    """Print the figures of the run."""
    states: dict[str, int] = {}
    for row in evidence.views.orders.values():
        states[row["state"]] = states.get(row["state"], 0) + 1
    kills, (slow_s, slow) = run.chaos.killed, run.chaos.slowest
    print(f"{len(kills)} kills, {len(run.chaos.crashed)} crash points; slowest restart {slow}, {slow_s:.1f} s")
    print(f"all orders ended {took:.1f} s after the last restart")
    print(f"requests by answer {dict(run.client.answers)}, fewest in flight {run.min_in_flight}")
    print(f"{len(evidence.entries)} operations, {run.history.unknowns} unknown outcomes; orders {states}")
    print(f"{len(evidence.log)} records, {evidence.duplicates} duplicates, {run.chaos.duplicates} absorbed by inboxes")


def assert_conclusive(run: Run, evidence: Evidence) -> None:
    """Fail if nothing went wrong in the run: then it proves nothing."""
    assert run.min_in_flight >= IN_FLIGHT, f"inconclusive: only {run.min_in_flight} requests in flight"
    assert len(run.chaos.killed) >= KILLS, f"inconclusive: {len(run.chaos.killed)} kills"
    assert set(run.chaos.killed) == set(PROCESSES), "inconclusive: not every process was killed"
    assert evidence.duplicates + run.chaos.duplicates > 0, "inconclusive: no message was delivered twice"
    assert run.history.unknowns > 0, "inconclusive: every outcome was known"
    assert any(evidence.topics.of("stock-refused")), "inconclusive: no reservation was refused"


@pytest.mark.timeout(600)
def test_nothing_is_lost_while_every_process_is_killed(tmp_path: Path):
    run_under_kills(tmp_path, seconds=60)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_nothing_is_lost_for_as_long_as_it_takes(tmp_path: Path):
    run_under_kills(tmp_path, seconds=float(os.environ.get("HALFDAY_LONG_S", "660")))
