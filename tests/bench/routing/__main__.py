"""`python -m tests.bench.routing`: see `halfday bench routing --help`."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from math import inf
from pathlib import Path

from services.dispatch.planning.process.planner import COMPILER
from tests.bench.routing.literature import Instance, read_all

GENERATED = Path(__file__).parent / "instances"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="halfday bench routing",
        description="Compares our search with plain PyVRP: same seconds, same cores, every answer checked.",
        epilog="Gaps are percent above the cost in the `.sol` file beside an instance. Example: "
        "halfday bench routing --instances ../vrptw --seconds 2,10 --only R1_2_1 RC108",
    )
    parser.add_argument("--instances", type=Path, default=GENERATED, metavar="DIR", help=".txt and .vrp files")
    parser.add_argument("--seconds", type=_budgets, default=[2.0, 10.0], help="budgets, separated by commas")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each; their median counts")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="prefixes of instance names")
    parser.add_argument("--threads", type=int, default=2, help="processes; the peer gets the best of as many seeds")
    parser.add_argument("--json", action="store_true", help="one JSON object for each run instead of the table")
    parser.add_argument("--rounds", type=int, help="rounds of our search instead of seconds, for equal results")
    parser.add_argument("--alone", action="store_true", help="without the peer")
    return parser.parse_args()


def _budgets(text: str) -> list[float]:
    try:
        budgets = [float(word) for word in text.split(",")]
    except ValueError:
        budgets = []
    if not budgets or not all(0 < seconds < inf for seconds in budgets):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of seconds above 0, such as 2,10")
    return budgets


def main() -> int:
    """Run the benchmark; exit code 0 when every answer is feasible and every applicable bar is held."""
    given = _arguments()
    chosen = [one for one in read_all(given.instances) if not given.only or one.name.startswith(tuple(given.only))]
    if not chosen:
        print(f"no such instances in {given.instances}: check --instances and --only", file=sys.stderr)
        return 2
    subprocess.run(COMPILER, check=False)  # before the search is imported, outside of every budget
    from tests.bench.routing.score import Run, completed, scores

    runs: list[Run] = []
    for run in _runs(given, chosen):
        assert isinstance(run, Run)
        runs.append(run)
        gap = "INFEASIBLE" if not run.feasible else f"{run.gap:6.2f} %" if run.instance.best_known else "no best known"
        line = f"{run.instance.name:14} {run.seconds:5g} s  seed {run.seed}  {run.solver:5} {run.cost:11.1f}  {gap}"
        print(run.as_json() if given.json else f"{line}  {run.answer.wall_s:6.2f} s", flush=True)
    board = list(scores(completed(runs)))
    unknown = {run.instance.name for run in runs if not run.instance.best_known}
    if unknown and not given.json:
        print(f"no known cost beside {', '.join(sorted(unknown))}: gaps are relative to the cheapest of these runs")
    for one in [] if given.json else board:
        beside = "" if one.peer is None else f"   peer {one.peer:5.2f} %   worst {one.worst:+.2f}"
        bar = "" if one.bar is None else f"   bar {one.bar:.2f} %"
        ours = f"{one.family:11} {one.seconds:5g} s  {one.instances:3} instances   ours {one.ours:5.2f} %"
        print(f"{ours}{beside}{bar}   {'held' if one.held else 'NOT HELD'}")
    return 0 if all(one.held for one in board) else 1


def _runs(given: argparse.Namespace, chosen: list[Instance]) -> Iterator[object]:
    from tests.bench.routing import solvers
    from tests.bench.routing.score import Run

    ours = partial(solvers.ours, rounds=given.rounds)
    pair = [("ours", ours), ("peer", solvers.peer)][: 1 if given.alone else 2]
    solvers.ours(chosen[0], 0.2, 0, 1)  # loads the modules, outside of every budget
    for seconds in given.seconds:
        for instance in chosen:
            for seed in range(1, given.seeds + 1):
                for name, solver in pair if seed % 2 else reversed(pair):
                    yield Run(name, instance, seconds, seed, solver(instance, seconds, seed, given.threads))


if __name__ == "__main__":
    sys.exit(main())
