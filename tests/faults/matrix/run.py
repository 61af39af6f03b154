"""Runs faults, several on one stack, and writes down how each ended."""

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
from tests.faults.client import Client
from tests.faults.evidence import Finding
from tests.faults.history import History
from tests.faults.market import new_market, open_market
from tests.faults.matrix.catalogue import Fault
from tests.faults.matrix.environment import House, open_house
from tests.faults.matrix.injection import Fire
from tests.faults.matrix.judge import Row, row
from tests.faults.matrix.workload import Shift

A_STACK = 4
"""So many faults share a stack: its evidence is read from the beginning for each."""
Say = Callable[[str], None]


def run(faults: Sequence[Fault], seconds: float, seed: int, say: Say, tell: Callable[[Row], None]) -> list[str]:
    """Runs the faults and tells of each; what the audit says of the stacks that do not hold. A stack's folder is kept
    if anything is wrong.
    """
    wrong = []
    for n in range(0, len(faults), A_STACK):
        some = faults[n : n + A_STACK]
        data = Path(tempfile.mkdtemp(prefix="halfday-faults-"))
        with open_house(data, new_market()) as house, ThreadPoolExecutor(1) as apart:
            rows = apart.submit(asyncio.run, _play(house, some, seconds, seed, say, tell)).result()
            found = _books(house)
        say("The books hold." if not found else "\n".join(["The books do not hold:", *found]))
        wrong += found
        if not found and all(one.ok for one in rows):
            shutil.rmtree(data, ignore_errors=True)
        else:
            say(f"logs and histories are kept in {data}")
    return wrong


def _books(house: House) -> list[str]:
    """What the audit says against the books of the stack. It must name the poison, which no outbox has sent, and
    nothing else.
    """
    findings = audit.run(house.data / "endpoints.json", require_terminal=True).findings
    named = {finding.where for finding in findings}
    unseen = [f"the audit does not name the poison at {place}" for place in house.poison - named]
    return [str(finding) for finding in findings if finding.where not in house.poison] + unseen


async def _play(
    house: House, faults: Sequence[Fault], seconds: float, seed: int, say: Say, tell: Callable[[Row], None]
) -> list[Row]:
    """All faults of a stack, one after another."""
    rows = []
    opening = History(house.data / "history-0.jsonl")
    client = Client(house.outside, opening)
    await open_market(client, house.market)
    await client.close()
    opening.close()
    counting = asyncio.create_task(house.chaos.count_duplicates())
    try:
        for number, fault in enumerate(faults):
            say(f"{fault.name}: {fault.what} ...")
            rows.append(await one(house, fault, seconds, seed + number))
            tell(rows[-1])
    finally:
        counting.cancel()
        with suppress(asyncio.CancelledError):
            await counting
    return rows


async def one(house: House, fault: Fault, seconds: float, seed: int) -> Row:
    """One fault in one shift, from its first shot to its verdict. An error on the way is part of the verdict."""
    shift = Shift(house, seed)
    try:
        await shift.begin()
        fire = Fire(house, shift, max(seconds, fault.least_s), Random(f"fault {seed}"))  # other ids than the crowd's
        began, errors = time.monotonic(), []
        try:
            await fault.act(fire)
        except Exception as error:
            errors.append(Finding("went wrong", fault.name, "".join(traceback.format_exception(error)[-3:])))
        finally:
            house.network.heal()
        lasted = time.monotonic() - began
        outcome = await shift.finish()
        outcome.findings.extend(errors)
        return row(fault.name, fault.what, fault.bound_s, fire, lasted, outcome)
    finally:
        await shift.go_home()
