"""Compares a station of 1 000 orders after 10 s, and a city of 20 x 300 after 60 s, with a run ten times as long.

`python -m tests.bench.routing.station [station|city]`: two and four minutes on two cores. Every rule is in the
problems: two loads, windows, releases, breaks, skills, zones, cold limits, prizes, couriers who end elsewhere. Of the
city all stations are planned in the 60 s by two processes, and six of them ten times as long.
"""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from services.dispatch.planning import checker
from services.dispatch.planning.problem import RoutingProblem
from services.dispatch.planning.process.planner import COMPILER
from services.dispatch.planning.process.solver import SolveJob, solve
from tests.unit.planning_given import town

PROCESSES, LONGER, BAR_PCT = 2, 10, 2.0
Found = tuple[int, int]
"""Required orders left out, cost in fen."""


def planned(problem: RoutingProblem, seconds: float, threads: int) -> Found:
    """Solve the problem; raises AssertionError when the checker finds a fault."""
    plan = solve(SolveJob(problem, seconds, time.monotonic(), seed=1, threads=threads))
    assert checker.faults(problem, plan) == []
    required = {order.id for order in problem.orders if order.prize_fen is None}
    return len(required & {gone.order for gone in plan.unserved}), plan.cost_fen


def station(seconds: float = 10.0) -> bool:
    """Run one large station with two processes; return whether the bar is held."""
    problem = town(1000, 46)
    return _report("a station of 1 000", seconds, [planned(problem, s, PROCESSES) for s in (seconds, LONGER * seconds)])


def city(seconds: float = 60.0, stations: int = 20, sample: int = 6) -> bool:
    """Run twenty stations, divided between two processes; return whether the bar is held."""
    problems, began = [town(300, 14, seed) for seed in range(stations)], time.monotonic()
    share = seconds * PROCESSES / stations
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("fork")) as pool:
        short = list(pool.map(planned, problems, [share] * stations, [1] * stations))
        wall = time.monotonic() - began
        longer = list(pool.map(planned, problems[:sample], [LONGER * share] * sample, [1] * sample))
    near = _report(f"a city of 20 x 300, {sample} of its stations", wall, [_sum(short[:sample]), _sum(longer)])
    return near and wall < seconds * 1.05


def _sum(found: Sequence[Found]) -> Found:
    return sum(left for left, _ in found), sum(cost for _, cost in found)


def _report(what: str, seconds: float, found: Sequence[Found]) -> bool:
    (left, cost), (longer_left, longer_cost) = found
    above = 100 * (cost / longer_cost - 1)
    print(
        f"{what}: after {seconds:.1f} s {left} left out, {cost / 100:.2f} yuan; after a run ten times as long "
        f"{longer_left}, {longer_cost / 100:.2f}: {above:+.2f} %, bar {BAR_PCT} %",
        flush=True,
    )
    return left <= longer_left and above <= BAR_PCT


def main() -> int:
    """Run the benchmark; exit code 0 when the bar is held."""
    subprocess.run(COMPILER, check=False)
    chosen = sys.argv[1:] or ["station", "city"]
    held = [{"station": station, "city": city}[name]() for name in chosen]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
