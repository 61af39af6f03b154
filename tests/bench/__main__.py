"""Runs the benchmarks: `python -m tests.bench [NAMES]`, see `halfday bench --help`."""

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


async def measure(names: list[str], effort: Effort, on_line: Callable[[Line], None]) -> list[Line]:
    """Run these benchmarks; `on_line` is called with each line as soon as it is known."""
    lines: list[Line] = []
    async with world() as found:
        for name in names:
            for one in await BENCHES[name](found, effort):
                on_line(one)
                lines.append(one)
    return lines


def main() -> int:
    """Return 0 when every bar is held."""
    parser = argparse.ArgumentParser(prog="halfday bench", description="Measure this project beside its peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHES)} (all)")
    parser.add_argument("--quick", action="store_true", help="fewer runs and orders; rough figures")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line instead of the table")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="also write a chart of the results")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - BENCHES.keys():
        parser.error(f"unknown benchmark {', '.join(sorted(unknown))}; known are {', '.join(BENCHES)}")
    effort = Effort(3, 0.5) if arguments.quick else Effort()

    def on_line(one: Line) -> None:
        print(report.as_json(one) if arguments.json else report.as_row(one), flush=True)

    if not arguments.json:
        print(report.HEAD, flush=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        lines = runner.run(measure(arguments.names or list(BENCHES), effort, on_line))
    if arguments.svg:
        arguments.svg.write_text(report.svg(lines), "utf-8")
    return 0 if all(one.held for one in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
