"""The proof that each invariant is written once: weakened in one place, three tests that rely on it miss their bug."""

from __future__ import annotations

import pytest

from deploy.audit.evidence.evidence import Evidence
from deploy.audit.evidence.log import Log
from deploy.audit.invariants import stock
from deploy.audit.verdict import judge
from tests.faults import evidence as faults
from tests.faults.checker import check
from tests.simulation.bugs import BUGS
from tests.simulation.run import play
from tests.unit.invariants.good_story import good_story
from tests.unit.invariants.story import Story

BUG = "no shortfall rule"


def audit_notices(story: Story) -> bool:
    """Return True if the audit finds a promise that was not kept."""
    evidence = Evidence(Log((), {}), story.facts().tables or {})
    evidence.__dict__["topics"] = story.facts().topics
    return any(finding.check == "promise" for finding in judge(evidence).findings)


def fault_tests_notice(story: Story) -> bool:
    """Return True if the checker of the fault tests does."""
    found = check(faults.Evidence(story.entries, story.log, story.views))
    return any(finding.check == "promise" for finding in found)


def simulation_notices(seeds: range) -> list[int]:
    """Return the seeds that detect the seeded bug."""
    return [seed for seed in seeds if play(seed, bugs=BUGS[BUG]()).invariant == "promise"]


def test_one_weakened_invariant_is_missed_in_three_places(monkeypatch: pytest.MonkeyPatch) -> None:
    story, seeds = good_story(), range(1, 6)
    story.drop("claims-exceeded")
    assert audit_notices(story)
    assert fault_tests_notice(story)
    noticed = simulation_notices(seeds)
    assert noticed
    monkeypatch.setattr(stock.shortfalls, "check", lambda **_: iter(()))
    assert not audit_notices(story)
    assert not fault_tests_notice(story)
    assert not simulation_notices(range(noticed[0], noticed[0] + 1))
