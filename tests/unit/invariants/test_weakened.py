"""The proof that each invariant is written once: weakened in one place, three judges that rely on it miss their bug."""

from __future__ import annotations

import pytest

from deploy.audit.evidence.evidence import Evidence
from deploy.audit.evidence.log import Log
from deploy.audit.invariants import reservations
from deploy.audit.verdict import judge
from tests.faults import evidence as faults
from tests.faults.checker import check
from tests.simulation.bugs import BUGS
from tests.simulation.run import play
from tests.unit.invariants.damage import released_early
from tests.unit.invariants.good_story import good_story
from tests.unit.invariants.story import Story

WORDS = "was released although its delivery was not cancelled"


def audit_notices(story: Story) -> bool:
    """Return True if the audit names the stock that was released too early."""
    evidence = Evidence(Log((), {}), story.facts().tables or {})
    evidence.__dict__["topics"] = story.facts().topics
    return WORDS in str(judge(evidence).findings)


def fault_tests_notice(story: Story) -> bool:
    """Return True if the checker of the fault tests names it."""
    return WORDS in str(check(faults.Evidence(story.entries, story.log, story.views)))


def simulation_notices(seed: int) -> bool:
    """Return True if a day with the bug that releases stock too early is found by it."""
    return WORDS in play(seed, bugs=BUGS["cancel out of order"]()).observed


def test_one_weakened_invariant_is_missed_by_three_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    story = good_story()
    released_early(story)
    seed = next(seed for seed in range(1, 40) if simulation_notices(seed))
    assert audit_notices(story)
    assert fault_tests_notice(story)
    monkeypatch.setattr(reservations.released_after_delivery, "check", lambda **_: iter(()))
    assert not audit_notices(story)
    assert not fault_tests_notice(story)
    assert not simulation_notices(seed)
