"""`python -m tests.bench.waves`: see `halfday bench waves --help`."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields

import orjson

from services.dispatch.planning.process import planner
from tests.bench.waves import policy
from tests.bench.waves.market import Market, market_day
from tests.bench.waves.simulate import Outcome, Simulation, hindsight

BAR = 88.0
"""Highest cost of ours relative to greedy = 100, with no more late orders than greedy."""
NAMES = ("greedy", "lazy", "ours", "hindsight")
KNOWN = 1_000_000
"""First seed of the example days; no measured day is among them."""


def _days(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days, 1 or more")
    return int(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="halfday bench waves",
        description="Compares policies that send orders now or keep them for the next wave, on generated market days; "
        "the plan in hindsight is the lower bound. Equal seeds give equal figures.",
        epilog="Example: halfday bench waves --days 5 --couriers 6 --delay-min 30",
    )
    parser.add_argument("--days", type=_days, default=30)
    parser.add_argument("--seed", type=int, default=1, help="of the first day; to split a run: --seed 11 --days 10")
    parser.add_argument("--only", nargs="*", choices=NAMES, default=NAMES, metavar="NAME", help=" ".join(NAMES))
    parser.add_argument("--json", action="store_true", help="one JSON object for each day instead of the table")
    for one in fields(Market):
        assert one.default is not None
        parser.add_argument(f"--{one.name.replace('_', '-')}", type=type(one.default), default=one.default, metavar="N")
    return parser.parse_args()


@dataclass(frozen=True, slots=True)
class Line:
    """The result of a policy on one day."""

    day: int
    policy: str
    fen: int
    trips: int
    late: int
    slowest_s: float


def lines(market: Market, seeds: range, names: tuple[str, ...] = NAMES) -> Iterator[Line]:
    """Yield the result of each policy on each day."""
    others = [market_day(market, KNOWN + n) for n in range(policy.Conditional().futures)]
    for seed in seeds:
        day = market_day(market, seed)
        runs = {
            "greedy": Simulation(day, policy.greedy).run,
            "lazy": Simulation(day, policy.lazy).run,
            "ours": Simulation(day, policy.Conditional(), others).run,
            "hindsight": lambda day=day: hindsight(day),
        }
        for name in names:
            made: Outcome = runs[name]()
            late = len(made.late) + len(made.missed)
            yield Line(seed, name, made.fen, len(made.driven), late, made.slowest_s)


def main() -> int:
    """Run the benchmark; exit code 0 when the bar is held."""
    given = vars(_arguments())
    market = Market(**{one.name: given[one.name] for one in fields(Market)})
    subprocess.run(planner.COMPILER, check=False)
    found = []
    for line in lines(market, range(given["seed"], given["seed"] + given["days"]), tuple(given["only"])):
        found.append(line)
        if given["json"]:
            print(orjson.dumps(line).decode(), flush=True)
    return _report(found, quiet=given["json"])


def _report(found: list[Line], quiet: bool) -> int:
    fen, late = (dict.fromkeys(NAMES, 0) for _ in range(2))
    for line in found:
        fen[line.policy] += line.fen
        late[line.policy] += line.late
    base = fen["greedy"] or 1
    for name in [] if quiet else dict.fromkeys(line.policy for line in found):
        mine = [line for line in found if line.policy == name]
        figures = f"{100 * fen[name] / base:6.1f}   {late[name]:4} late   {sum(line.trips for line in mine):5} trips"
        slowest = max(line.slowest_s for line in mine)
        print(f"{name:10} {figures}   {fen[name] / 100:10.2f} yuan   slowest decision {slowest:.2f} s")
    if not fen["greedy"] or not fen["ours"]:
        return 0
    index, held = 100 * fen["ours"] / base, 100 * fen["ours"] / base <= BAR and late["ours"] <= late["greedy"]
    above = f", {100 * (fen['ours'] / fen['hindsight'] - 1):.1f} % above hindsight" if fen["hindsight"] else ""
    if not quiet:
        print(f"ours {index:.1f} of greedy's 100{above}; bar {BAR:.0f}: {'held' if held else 'NOT HELD'}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
