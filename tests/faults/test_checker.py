"""Tests of the checker: what only these workloads promise, and the reading of a history.

Its invariants have their tests in `tests/unit/invariants`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.checker import check
from tests.faults.evidence import Evidence
from tests.faults.history import History, Operation, Outcome, read
from tests.unit.invariants.damage import dropped, released_late
from tests.unit.invariants.good_story import good_story
from tests.unit.invariants.story import EGGS, Story


def findings_of(story: Story) -> set[str]:
    """Return the names of the checks that found something, where eggs are scarce."""
    return {finding.check for finding in check(Evidence(story.entries, story.log, story.views, frozenset({EGGS})))}


def without_waste() -> Story:
    """Return the story without the goods that were wasted after they had been promised."""
    story = good_story()
    story.log = [fact for fact in story.log if "milk" not in str(fact.data)]
    return story


def test_scarce_goods_that_are_sold_out() -> None:
    assert not findings_of(without_waste()) & {"oversold", "not sold out"}


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("oversold", released_late),
        ("oversold", lambda story: story.reserve("r", 1)),
        ("not sold out", lambda story: story.move("intake", "on_hand", 1, "lot/late")),
        ("not sold out", dropped("allotment-granted")),
        ("lost order", dropped("order-placed")),
    ],
)
def test_damage_to_scarce_goods_is_named(name: str, damage: Callable[[Story], None]) -> None:
    story = without_waste()
    damage(story)
    assert name in findings_of(story)


def test_a_history_tells_how_operations_ended(tmp_path: Path):
    history = History(tmp_path / "h.jsonl")
    good, bad, never = (Operation(name, "place", name, {"n": 1}) for name in ("good", "bad", "never"))
    for operation in (good, bad, never):
        history.invoke(operation, 1, {"a": 1})
    history.unknown(good, 1, {"why": "cut"})
    history.invoke(good, 2, {"a": 1})
    history.ok(good, 2, {"hash": "h"})
    history.fail(bad, 1, {"why": "422"})
    history.close()
    found = {entry.operation.id: entry for entry in read(tmp_path / "h.jsonl")}
    assert {id: entry.outcome for id, entry in found.items()} == {
        "good": Outcome.OK, "bad": Outcome.FAIL, "never": Outcome.UNKNOWN
    }  # fmt: skip
    assert (found["good"].tries, found["good"].unknowns, found["good"].answer) == (2, 1, {"hash": "h"})
    assert history.unknowns == 1
