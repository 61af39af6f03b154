"""What a process costs: memory when it is ready and after much work, and how long it takes to be ready."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from tests.bench import market
from tests.bench.consumer_bench import AskedOurs
from tests.bench.halfday_variant import Ours
from tests.bench.peers import orders
from tests.bench.runs import Effort, Figures, take_turns
from tests.bench.score import Line, Rule, line
from tests.bench.shops import TwoServices
from tests.bench.world import World

PIECE = 10_000


async def footprint(world: World, effort: Effort) -> list[Line]:
    """One process alone, tracing off: the largest of ours beside the orders half of the typical build."""
    ours, typical = Ours(world), TwoServices(world)
    await ours.prepare(0)
    await typical.open(0)
    await typical.close()

    async def measure(shop: Any, _n: int) -> Figures:
        started = [await _started(shop, name) for name in (ours.told if shop is ours else ["orders"])]
        return {"mb": max(mb for mb, _ in started), "ready": max(seconds for _, seconds in started)}

    found = await take_turns([ours, typical], effort.runs, measure)
    grown, faults = await _grown(ours, effort.of(200_000))
    rule = Rule.OURS_AT_MOST
    rows = (("mb", "a process, when ready", "MB", 85.0), ("ready", "from start to ready", "s", 2.0))
    lines = [
        line("footprint", what, unit, found.of("ours", name), found.of("typical", name), "typical", rule, bar)
        for name, what, unit, bar in rows
    ]
    what = f"growth over {effort.of(200_000)} events"
    return [*lines, line("footprint", what, "MB", [grown], [0.0], "", rule, 5.0, faults)]


async def _started(shop: Ours | TwoServices, name: str) -> tuple[float, float]:
    """Megabytes and seconds of one process that is started alone, and then stopped."""
    began = time.perf_counter()
    if isinstance(shop, Ours):
        child = await shop.run(name)
    else:
        child = await shop.world.start([orders.__name__], shop.ports[0], shop.told[0])
    took = time.perf_counter() - began
    await asyncio.sleep(0.5)  # pause: its first garbage is collected and its pools are warm
    mb = child.mb
    await child.stop()
    return mb, took


async def _grown(ours: Ours, count: int) -> tuple[float, list[str]]:
    """By how many megabytes inventory's worker grows over so many commands, once it has done its first ones."""
    child = await ours.run("inventory.worker")
    asked, before = AskedOurs(ours), 0.0
    for n in range(count // PIECE + 2):
        await asyncio.to_thread(asked.ask, market.wishes(PIECE, n))
        await asked.all_done()
        if n == 1:
            before = child.mb
    grown = child.mb - before
    faults = await asked.faults()
    print(*faults, sep="\n", end="", flush=True)
    await child.stop()
    return grown, faults
