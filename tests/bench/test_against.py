"""`halfday bench --against`: comparison of two trees' figures, and the errors of the command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import against
from tests.bench.against import Reading, Tree, compare, readings, table

RATE = ("accept", "32 connections", "orders/s")
LATENCY = ("accept", "32 connections", "ms, p99")
STATEMENTS = ("counts", "1 000 orders", "statements")


def of(*values: float, peer: float = 0) -> list[Reading]:
    return [Reading(value, peer) for value in values]


def test_the_ratio_is_the_median_of_the_rounds_and_above_1_where_this_tree_is_better():
    rate = compare(RATE, of(150, 200, 100), of(100, 100, 100))
    assert (rate.ratio, rate.low, rate.high, rate.verdict) == (1.5, 1, 2, "better")
    latency = compare(LATENCY, of(30, 30, 30), of(15, 15, 15))
    assert (latency.ratio, latency.verdict) == (0.5, "worse")


@pytest.mark.parametrize(
    ("rate", "verdict"), [(100, "same"), (109, "same"), (92, "same"), (112, "better"), (88, "worse")]
)
def test_differences_within_a_tenth_are_the_same(rate: float, verdict: str):
    assert compare(RATE, of(rate, rate), of(100, 100)).verdict == verdict


def test_rounds_that_contradict_each_other_are_unclear():
    assert compare(RATE, of(80, 80, 105), of(100, 100, 100)).verdict == "unclear"


@pytest.mark.parametrize(("count", "verdict"), [(154, "same"), (156, "same"), (160, "worse"), (100, "better")])
def test_counts_have_the_tolerance_of_the_gate(count: int, verdict: str):
    assert compare(STATEMENTS, of(count), of(154)).verdict == verdict


def test_a_failed_reconciliation_is_no_figure():
    assert compare(RATE, of(100, 0), of(100, 100)).verdict == "failed"


def test_the_ratio_is_relative_to_the_peer_because_a_busy_machine_slows_both():
    found = compare(RATE, of(50, peer=45), of(100, peer=90))
    assert (found.ratio, found.plain, found.verdict) == (1, 0.5, "same")
    found = compare(LATENCY, of(20, peer=10), of(10, peer=10))
    assert (found.ratio, found.plain, found.verdict) == (0.5, 0.5, "worse")


def test_each_figure_is_a_row():
    assert len(table([compare(RATE, of(100), of(100)), compare(STATEMENTS, of(154), of(154))]).splitlines()) == 3


def test_output_is_split_into_figures_and_findings():
    values = dict(zip(("metric", "workload", "unit"), RATE, strict=True))
    lines = [json.dumps({**values, "ours": 5, "peer": peer}) for peer in (2, 3)]
    found, rest = readings("\n".join([lines[0], "ours: one order is lost", lines[1]]))
    assert (found, rest) == ({RATE: Reading(5, 2)}, ["ours: one order is lost"])


def test_both_trees_run_in_turns_and_the_other_first_in_every_second_round(monkeypatch: pytest.MonkeyPatch):
    this, other = (Tree(name, Path(name), Path("python")) for name in ("this tree", "other"))
    order: list[str] = []

    def run(tree: Tree, name: str) -> dict[against.Figure, Reading]:
        order.append(f"{name} {tree.name}")
        return {RATE: Reading(100, 0)}

    usage = subprocess.CompletedProcess([], 0, "of accept, relay; all where none is named", "")
    monkeypatch.setattr(against, "run", run)
    monkeypatch.setattr(against, "_bench", lambda *_, **__: usage)
    (found,) = against.measure(this, other, ["accept", "reserve"], 2)
    assert order == ["accept this tree", "accept other", "accept other", "accept this tree"]
    assert (found.ratio, found.verdict) == (1, "same")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["no-such-commit"], "no commit 'no-such-commit' in this repository"),
        (["HEAD", "no-such-bench"], "unknown benchmark 'no-such-bench'"),
        (["HEAD", "--rounds", "0"], "invalid number '0', expected 1 or more"),
    ],
)
def test_errors_name_the_value(arguments: list[str], error: str, root: Path):
    command = [sys.executable, "-m", "tests.bench.against", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode
    assert error in done.stderr
    assert "Traceback" not in done.stderr
