"""The footprint of a process: memory when ready and after much work, and seconds until it is ready."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from tests.bench import market
from tests.bench.consumer_bench import HalfdayReservations
from tests.bench.halfday_variant import HalfdayVariant
from tests.bench.peers import orders
from tests.bench.runs import Effort, Figures, take_turns
from tests.bench.score import Line, Rule, line
from tests.bench.shops import TwoServices
from tests.bench.world import World

PIECE = 10_000


async def footprint(world: World, effort: Effort) -> list[Line]:
    """Measure one process at a time, without tracing: the largest of ours beside the orders half of
    the typical build.
    """
    halfday, typical = HalfdayVariant(world), TwoServices(world)
    await halfday.prepare(0)
    await typical.open(0)
    await typical.close()

    async def measure(shop: Any, _n: int) -> Figures:
        started = [await _started(shop, name) for name in (halfday.environments if shop is halfday else ["orders"])]
        return {"mb": max(mb for mb, _ in started), "ready": max(seconds for _, seconds in started)}

    found = await take_turns([halfday, typical], effort.runs, measure)
    grown, violations = await _grown(halfday, effort.of(200_000))
    rule = Rule.OURS_AT_MOST
    rows = (("mb", "a process, when ready", "MB", 85.0), ("ready", "from start to ready", "s", 2.0))
    lines = [
        line("footprint", what, unit, found.of("halfday", name), found.of("typical", name), "typical", rule, bar)
        for name, what, unit, bar in rows
    ]
    what = f"growth over {effort.of(200_000)} events"
    return [*lines, line("footprint", what, "MB", [grown], [0.0], "", rule, 5.0, violations)]


async def _started(shop: HalfdayVariant | TwoServices, name: str) -> tuple[float, float]:
    """Start one process alone and stop it; return its megabytes and the seconds until it was ready."""
    began = time.perf_counter()
    if isinstance(shop, HalfdayVariant):
        child = await shop.run(name)
    else:
        child = await shop.world.start([orders.__name__], shop.ports[0], shop.environments[0])
    took = time.perf_counter() - began
    await asyncio.sleep(0.5)  # pause: the first garbage collection and warm pools
    mb = child.mb
    await child.stop()
    return mb, took


async def _grown(halfday: HalfdayVariant, count: int) -> tuple[float, list[str]]:
    """Return the megabytes by which inventory's worker grows over so many commands, after the first ones."""
    child = await halfday.run("inventory.worker")
    requested, before = HalfdayReservations(halfday), 0.0
    for n in range(count // PIECE + 2):
        await asyncio.to_thread(requested.request, market.sample_orders(PIECE, n))
        await requested.all_done()
        if n == 1:
            before = child.mb
    grown = child.mb - before
    violations = await requested.violations()
    print(*violations, sep="\n", end="", flush=True)
    await child.stop()
    return grown, violations
