"""Tests of the short form of the fault matrix and of its report."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.audit.finding import Finding
from tests.faults.matrix import report
from tests.faults.matrix.catalogue import FAULTS, POINTS, SHORT
from tests.faults.matrix.judge import INVARIANTS, Row, invariant
from tests.faults.matrix.memory import Memory
from tests.faults.matrix.run import run


@pytest.mark.stack
@pytest.mark.timeout(900)
def test_nothing_is_lost_on_a_bad_network_with_broker_and_database_away():
    rows: list[Row] = []
    findings = run([SHORT], 0, seed=1, say=print, on_row=rows.append)
    (short,) = rows
    assert short.broken == {}
    assert short.ok, f"inconclusive: {report.line(short)}"
    assert findings == []
    assert {"replies dropped", "bad records", "2 MB refused", "backend kill -9", "kill -9 at COMMIT"} <= set(short.did)
    assert short.unknown > 0, "inconclusive: every outcome was known"
    assert short.absorbed + short.twice > 0, "inconclusive: no message was delivered twice"


def test_every_crash_point_of_the_services_has_its_fault(root: Path):
    named = {
        line.split('point("')[1].split('"')[0]
        for file in (root / "services").rglob("*.py")
        for line in file.read_text().splitlines()
        if 'point("' in line
    }
    assert named == set(POINTS)


def test_every_fault_aims_at_something_that_is_checked():
    for fault in FAULTS:
        assert set(fault.targets.split()) <= set(INVARIANTS), fault.name


@pytest.mark.parametrize(
    ("check", "expected"),
    [("lost order", "I1"), ("oversold", "I2"), ("not sold out", "I2"), ("duplicate load", "I3"),
     ("duplicate refund", "I4"), ("end", "I5"), ("seq", "I6"), ("duplicate sale", "I7"),
     ("unknown order", "I8"), ("dead letter", "I10")],
)  # fmt: skip
def test_a_finding_breaks_an_invariant(check: str, expected: str):
    assert invariant(Finding(check, "x", "y")) == expected


def _row(fault: str, **more: object) -> Row:
    known = {
        "what": "w", "at": "t", "seconds": 30.0, "did": {"kill -9": 3}, "orders": 9, "operations": 9, "unknown": 1,
        "records": 99, "twice": 1, "absorbed": 1, "caught_up_s": 1.0, "bound_s": 15.0, "ended_s": 3.0, "broken": {},
    }  # fmt: skip
    return Row(fault=fault, **{**known, **more})  # type: ignore[arg-type]


def test_a_fault_that_did_nothing_proves_nothing():
    assert _row("1").ok
    assert not _row("1", did={}).ok
    assert not _row("1", orders=0).ok
    assert not _row("1", broken={"I1": ["lost order: x: y"]}).ok


def test_a_report_keeps_what_was_not_run_again(tmp_path: Path):
    file = tmp_path / "report.md"
    report.write(file, [_row("1"), _row("8", broken={"I1": ["lost order: x: y"]})])
    assert "1 of 2 held" in file.read_text()
    assert "lost order: x: y" in file.read_text()
    assert "Not in this report: 2-out (" in file.read_text()
    report.write(file, [_row("8", seconds=9.0)])
    text = file.read_text()
    assert "2 of 2 held" in text
    assert "lost order" not in text
    assert "Shorter than 30 s: 8." in text


@pytest.mark.parametrize(("last", "growth"), [(101.0, False), (160.0, True)])
def test_memory_that_grows_is_seen(last: float, growth: bool):
    memory = Memory()
    for n in range(30):
        memory.add("orders.api", 60.0 * n, 40.0 if n < 10 else 100.0 if n < 20 else last)
    assert bool(memory.growth()) is growth
    assert memory.table()[-1].startswith("| orders.api | 40 | 40 |")
