"""Runs faults, several on one stack, and reports the result of each."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from random import Random

from deploy import audit
from deploy.audit.finding import Finding
from tests.faults.client import HistoryClient, http_client
from tests.faults.history import History
from tests.faults.market import new_market, open_market
from tests.faults.matrix.catalogue import Fault
from tests.faults.matrix.environment import Environment, open_environment
from tests.faults.matrix.injection import Injection
from tests.faults.matrix.judge import Row, make_row
from tests.faults.matrix.workload import Workload

FAULTS_PER_STACK = 4
"""Number of faults on one stack: its evidence is read from the beginning for each."""
Say = Callable[[str], None]


def run(faults: Sequence[Fault], seconds: float, seed: int, say: Say, on_row: Callable[[Row], None]) -> list[str]:
    """Run the faults and pass each row to `on_row`; return the audit findings of all stacks. The folder of a stack is
    kept if anything is wrong.
    """
    findings = []
    for n in range(0, len(faults), FAULTS_PER_STACK):
        some = faults[n : n + FAULTS_PER_STACK]
        data = Path(tempfile.mkdtemp(prefix="halfday-faults-"))
        with open_environment(data, new_market()) as environment, ThreadPoolExecutor(1) as executor:
            rows = executor.submit(asyncio.run, _play(environment, some, seconds, seed, say, on_row)).result()
            found = _audit_findings(environment)
        say("the audit passed" if not found else "\n".join(["the audit failed:", *found]))
        findings += found
        if not found and all(one.ok for one in rows):
            shutil.rmtree(data, ignore_errors=True)
        else:
            say(f"logs and histories are kept in {data}")
    return findings


def _audit_findings(environment: Environment) -> list[str]:
    """Return the audit findings of the stack. The audit must name every poison record, which no outbox has sent, and
    nothing else.
    """
    findings = audit.run(environment.data / "endpoints.json", require_terminal=True).findings
    named = {finding.where for finding in findings}
    unseen = [f"the audit does not name the poison record at {place}" for place in environment.poison_positions - named]
    return [str(finding) for finding in findings if finding.where not in environment.poison_positions] + unseen


async def _play(
    environment: Environment,
    faults: Sequence[Fault],
    seconds: float,
    seed: int,
    say: Say,
    on_row: Callable[[Row], None],
) -> list[Row]:
    """Run all faults of a stack, one after another."""
    rows = []
    opening = History(environment.data / "history-0.jsonl")
    async with http_client(environment.client_endpoints) as http:
        await open_market(HistoryClient(http, opening).persistent, environment.market)
    opening.close()
    counting = asyncio.create_task(environment.chaos.count_duplicates())
    try:
        for number, fault in enumerate(faults):
            say(f"{fault.name}: {fault.description} ...")
            rows.append(await one(environment, fault, seconds, seed + number))
            on_row(rows[-1])
    finally:
        counting.cancel()
        with suppress(asyncio.CancelledError):
            await counting
    return rows


async def one(environment: Environment, fault: Fault, seconds: float, seed: int) -> Row:
    """Run one fault during one workload; return its row. An error on the way is a finding."""
    workload = Workload(environment, seed)
    try:
        await workload.begin()
        rng = Random(f"fault {seed}")  # its own, so that its ids differ from the buyers'
        injection = Injection(environment, workload, max(seconds, fault.min_s), rng)
        began, errors = time.monotonic(), []
        try:
            await fault.inject(injection)
        except Exception as error:
            errors.append(Finding("fault failed", fault.name, "".join(traceback.format_exception(error)[-3:])))
        finally:
            environment.network.heal()
        lasted = time.monotonic() - began
        outcome = await workload.finish()
        outcome.findings.extend(errors)
        return make_row(fault.name, fault.description, fault.bound_s, injection, lasted, outcome)
    finally:
        await workload.stop()
