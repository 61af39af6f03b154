"""`python -m tests.bench [NAMES]`: see `halfday bench --help`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from tests.bench import consumer_bench, counting, footprint_bench, orders_bench, relay_bench, report
from tests.bench.runs import Effort
from tests.bench.score import Line
from tests.bench.world import World, world

Bench = Callable[[World, Effort], Awaitable[list[Line]]]
BENCHES: dict[str, Bench] = {
    "accept": orders_bench.accept,
    "accept-batch": orders_bench.accept_batch,
    "chain": orders_bench.chain,
    "chain-hot": orders_bench.chain_hot,
    "latency": orders_bench.latency,
    "relay": relay_bench.relay,
    "relay-lag": relay_bench.relay_lag,
    "consumer": consumer_bench.consumer,
    "reserve": consumer_bench.reserve,
    "catch-up": consumer_bench.catch_up,
    "footprint": footprint_bench.footprint,
    "counts": counting.counts,
}


async def measure(names: list[str], effort: Effort, tell: Callable[[Line], None]) -> list[Line]:
    """The lines of these measurements; `tell` hears of each when it is known."""
    lines: list[Line] = []
    async with world() as found:
        for name in names:
            for one in await BENCHES[name](found, effort):
                tell(one)
                lines.append(one)
    return lines


def main() -> int:
    """Exit code 0 when every bar is held."""
    parser = argparse.ArgumentParser(prog="halfday bench", description="Measure this project beside its peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}; all where none is named")
    parser.add_argument("--quick", action="store_true", help="fewer runs and orders, rough figures")
    parser.add_argument("--json", action="store_true", help="a JSON object a line instead of the table")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="also draw the scoreboard there")
    given = parser.parse_args()
    if strange := set(given.names) - BENCHES.keys():
        parser.error(f"there is no {', '.join(sorted(strange))}; there are: {', '.join(BENCHES)}")
    effort = Effort(3, 0.5) if given.quick else Effort()

    def tell(one: Line) -> None:
        print(report.as_json(one) if given.json else report.as_row(one), flush=True)

    if not given.json:
        print(report.HEAD, flush=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        lines = runner.run(measure(given.names or list(BENCHES), effort, tell))
    if given.svg:
        given.svg.write_text(report.svg(lines), "utf-8")
    return 0 if all(one.held for one in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
