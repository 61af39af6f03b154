"""Compares this tree with another commit: `python -m tests.bench.against COMMIT [NAMES]`, see `halfday bench --help`.

Each benchmark runs in both trees in turns, within one run, so that a busy machine slows both alike. The other commit is
checked out as a git worktree in a temporary folder. It may have another layout: both trees run only
`python -m tests.bench --help` and `python -m tests.bench NAME --quick --json`; their output is the same in every commit
that has the benchmarks.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = "requirements-dev.txt"
COUNTS = "tests/bench/counts.json"
DEFAULT = ("counts", "accept", "accept-batch", "chain", "relay", "consumer", "reserve")
TOLERANCE = 0.10
"""Smaller differences between two times are no finding: medians of the same commit differ by as much."""
COUNT_TOLERANCE = 0.02
"""Counts do not depend on the machine. The same tolerance as the gate's, `tests/bench/test_counts.py`."""

Figure = tuple[str, str, str]
"""Metric, workload and unit."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A checkout and the Python that runs it."""

    name: str
    folder: Path
    python: Path


@dataclass(frozen=True, slots=True)
class Reading:
    """One run of one figure. `ours` is 0 where the reconciliation of that run failed, `peer` is 0 without a peer."""

    ours: float
    peer: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """A figure of both trees. `ratio` is above 1 where this tree is better: more per second, or less time, memory or
    statements. Each round's ratio is taken relative to the peer that ran in turns with ours, because a busy machine
    slows both; `ratio` is the median of the rounds, `low` and `high` are the smallest and the largest. `plain` is the
    median of the same ratios without the peer: where the two differ much, the machine was busy.
    """

    figure: Figure
    this: float
    other: float
    ratio: float
    low: float
    high: float
    plain: float
    verdict: str


def compare(figure: Figure, this: Sequence[Reading], other: Sequence[Reading]) -> Comparison:
    """Compare the readings of a figure, one of each tree per round. The verdict is `same` within the tolerance,
    `better` or `worse` beyond it, `unclear` where rounds contradict each other, `failed` where a reconciliation failed.
    """
    middles = (median(one.ours for one in this), median(one.ours for one in other))
    if not all(one.ours for one in (*this, *other)):
        return Comparison(figure, *middles, 0.0, 0.0, 0.0, 0.0, "failed")
    plain = [_ratio(figure, mine.ours, theirs.ours) for mine, theirs in zip(this, other, strict=True)]
    noise = [_ratio(figure, mine.peer, theirs.peer) for mine, theirs in zip(this, other, strict=True)]
    ratios = [one / peer for one, peer in zip(plain, noise, strict=True)]
    ratio, low, high = median(ratios), min(ratios), max(ratios)
    return Comparison(figure, *middles, ratio, low, high, median(plain), _verdict(figure, ratio, low, high))


def _ratio(figure: Figure, this: float, other: float) -> float:
    """Return a ratio above 1 where this tree is better, 1 where a value is missing: not every figure has a peer."""
    if not this or not other:
        return 1.0
    return this / other if figure[2].endswith("/s") else other / this


def _verdict(figure: Figure, ratio: float, low: float, high: float) -> str:
    tolerance = COUNT_TOLERANCE if figure[0] == "counts" else TOLERANCE
    if 1 / (1 + tolerance) <= ratio <= 1 + tolerance:
        return "same"
    if low < 1 < high:
        return "unclear"
    return "better" if ratio > 1 else "worse"


_COLUMNS = (13, 26, 18, 9, 9, 7, 14, 7, 8)
_NAMES = ("metric", "workload", "unit", "this", "other", "ratio", "spread", "plain", "verdict")


LEGEND = """\
A ratio above 1 means that this tree is better. It is relative to the peer of each benchmark, which runs in turns with
ours; the plain ratio is not. Differences within 10 % are the same, within 2 % for counts."""


def table(comparisons: Sequence[Comparison]) -> str:
    """Return the comparisons as text."""
    rows = [_NAMES, *map(_cells, comparisons)]
    return "\n".join(
        " ".join(cell.ljust(width) for cell, width in zip(row, _COLUMNS, strict=True)).rstrip() for row in rows
    )


def _cells(one: Comparison) -> tuple[str, ...]:
    spread = f"{one.low:.2f} to {one.high:.2f}"
    figures = (f"{one.this:g}", f"{one.other:g}", f"{one.ratio:.2f}", spread, f"{one.plain:.2f}")
    return (*one.figure, *figures, one.verdict)


def readings(output: str) -> tuple[dict[Figure, Reading], list[str]]:
    """Split the output of `python -m tests.bench --json` into its figures and its other lines, which name what the
    reconciliation found. A figure with several peers is read with the first one.
    """
    found: dict[Figure, Reading] = {}
    rest: list[str] = []
    for line in output.splitlines():
        if not line.startswith("{"):
            rest.append(line)
            continue
        values = json.loads(line)
        figure = (values["metric"], values["workload"], values["unit"])
        found.setdefault(figure, Reading(values["ours"], values["peer"]))
    return found, rest


def offered(usage: str) -> set[str]:
    """Return the names that the `--help` text of a tree's benchmarks mentions."""
    return set(re.split(r"[^\w-]+", usage))


def run(tree: Tree, name: str) -> dict[Figure, Reading]:
    """Run one benchmark in one tree with its short settings. Raises SystemExit when it prints no figures."""
    done = _bench(tree, name, "--quick", "--json", capture_errors=False)
    found, rest = readings(done.stdout)
    for line in filter(None, rest):
        print(f"  {tree.name}: {line}", flush=True)
    if not found:
        sys.exit(f"{name} failed in {tree.name}, exit code {done.returncode}; its error is printed above")
    return found


def _bench(tree: Tree, *arguments: str, capture_errors: bool) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(tree.folder), "COLUMNS": "1000"}  # --help must not break names
    return subprocess.run(
        [tree.python, "-m", "tests.bench", *arguments], cwd=tree.folder, env=environment, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE if capture_errors else None,
    )  # fmt: skip


def committed_counts(tree: Tree) -> dict[Figure, Reading]:
    """Return the baseline of the count gate that a tree commits, for commits that cannot measure `counts` alone."""
    counts = json.loads((tree.folder / COUNTS).read_text("utf-8"))
    return {("counts", "1 000 orders", name): Reading(count, 0) for name, count in counts.items()}


def measure(this: Tree, other: Tree, names: Sequence[str], rounds: int) -> list[Comparison]:
    """Run the benchmarks in both trees in turns, the other tree first in every second round, and compare them."""
    known = offered(_bench(other, "--help", capture_errors=True).stdout)
    found: dict[Figure, tuple[list[Reading], list[Reading]]] = {}
    for name in names:
        if name not in known and name != "counts":
            print(f"{name}: left out, {other.name} does not have it", flush=True)
            continue
        for turn in range(1 if name == "counts" else rounds):
            pair: dict[str, dict[Figure, Reading]] = {}
            for tree in (this, other) if turn % 2 == 0 else (other, this):
                if name not in known and tree is other:
                    print(f"{name}: {tree.name} cannot measure it alone, its committed {COUNTS} is used", flush=True)
                    pair[tree.name] = committed_counts(tree)
                    continue
                print(f"{name}, round {turn + 1} of {rounds}: {tree.name} ...", flush=True)
                pair[tree.name] = run(tree, name)
            for figure in filter(pair[other.name].__contains__, pair[this.name]):
                mine, theirs = found.setdefault(figure, ([], []))
                mine.append(pair[this.name][figure])
                theirs.append(pair[other.name][figure])
    return [compare(figure, *both) for figure, both in found.items()]


@contextmanager
def checked_out(commit: str) -> Iterator[Tree]:
    """Check a commit out in a temporary folder that is removed on return, with an environment that fits it."""
    id = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}", missing=commit)
    name = _git("rev-parse", "--short", id)
    with tempfile.TemporaryDirectory(prefix="halfday-against-") as made:
        folder = Path(made, name)
        _git("worktree", "add", "--quiet", "--detach", str(folder), id)
        try:
            if not (folder / "tests/bench/__main__.py").is_file():
                sys.exit(f"commit {name} has no benchmarks (tests/bench); choose a later one")
            yield Tree(name, folder, _python(folder, name))
        finally:
            _git("worktree", "remove", "--force", str(folder))


def _python(folder: Path, name: str) -> Path:
    """Return this environment where the commit has the same requirements, else that of the commit's own launcher."""
    if (folder / REQUIREMENTS).read_bytes() == (ROOT / REQUIREMENTS).read_bytes():
        return Path(sys.executable)
    print(f"{name} has other requirements: installing them, about a minute ...", flush=True)
    if subprocess.run(["sh", "./halfday", "bench", "--help"], cwd=folder, stdout=subprocess.DEVNULL).returncode:
        sys.exit(f"the requirements of {name} could not be installed; the error is printed above")
    return folder / ".venv/bin/python"


def _git(*arguments: str, missing: str = "") -> str:
    try:
        done = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        sys.exit("git is not installed; --against needs it to check the other commit out")
    if done.returncode and missing and (ROOT / ".git").exists():
        sys.exit(f"no commit {missing!r} in this repository; expected a hash, a branch, a tag or such as HEAD~1")
    if done.returncode:
        sys.exit(f"--against needs a git checkout of the repository in {ROOT}: {done.stderr.strip()}")
    return done.stdout.strip()


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"invalid number {text!r}, expected 1 or more")
    return int(text)


def main() -> int:
    """Compare, print the table and return an exit code: 0 where no figure is worse and no reconciliation failed."""
    parser = argparse.ArgumentParser(prog="halfday bench --against", description="Compare this tree with a commit.")
    parser.add_argument("commit", metavar="COMMIT", help="a hash, a branch, a tag or such as HEAD~1")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"benchmarks; without any: {' '.join(DEFAULT)}")
    parser.add_argument("--rounds", type=_positive, default=3, metavar="N", help="runs of each tree (3)")
    given = parser.parse_args()
    this = Tree("this tree", ROOT, Path(sys.executable))
    known = offered(_bench(this, "--help", capture_errors=True).stdout)
    if unknown := [name for name in given.names if name not in known]:
        parser.error(f"unknown benchmark {unknown[0]!r}; `halfday bench --help` lists them")
    with checked_out(given.commit) as other:
        changed = len(_git("status", "--porcelain").splitlines())
        head = _git("rev-parse", "--short", "HEAD")
        print(f"this tree: {head}" + (f" with uncommitted changes in {changed} files" if changed else ""), flush=True)
        print(f"other: {other.name}, {_git('log', '-1', '--format=%s', other.name)}", flush=True)
        compared = measure(this, other, given.names or DEFAULT, given.rounds)
    print(f"\n{table(compared)}\n\n{LEGEND}")
    return 1 if any(one.verdict in {"worse", "failed"} for one in compared) else 0


if __name__ == "__main__":
    sys.exit(main())
