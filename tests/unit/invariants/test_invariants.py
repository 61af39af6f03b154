"""Tests of the invariants: a consistent market has no findings, and each invariant detects what breaks it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deploy.audit.checks import CHECKS, ENDED
from deploy.audit.invariants import INVARIANTS, judge
from deploy.audit.invariants.facts import Facts, Outcome
from deploy.audit.invariants.invariant import Invariant, Moment
from tests.unit.invariants.damage import DAMAGES, Damage, outcome
from tests.unit.invariants.good_story import good_story
from tests.unit.invariants.story import id, reservation


def test_a_market_in_which_every_invariant_holds() -> None:
    facts = good_story().facts()
    assert all(one.knows_enough(facts) for one in INVARIANTS.values())
    assert judge(facts) == []


def test_repeated_records_break_nothing() -> None:
    story = good_story()
    story.log += [replace(fact, where=f"{fact.where}9") for fact in story.log[3:9]]
    assert judge(story.facts()) == []
    assert len(story.facts().topics.repeats) == 6  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "check", "damage"), DAMAGES, ids=[f"{n}-{name}-{check}" for n, (name, check, _) in enumerate(DAMAGES)]
)
def test_an_invariant_detects_its_damage(name: str, check: str, damage: Damage) -> None:
    story = good_story()
    damage(story)
    found = list(INVARIANTS[name].findings(story.facts()))
    assert check in {finding.check for finding in found}, found
    assert all(str(finding) for finding in found)


def test_each_invariant_has_its_damage() -> None:
    assert {name for name, _, _ in DAMAGES} == INVARIANTS.keys()


def test_the_audit_judges_every_invariant_that_it_has_facts_for() -> None:
    audited = {part for check in (*CHECKS, ENDED) for part in check.parts if isinstance(part, Invariant)}
    known = {one for one in INVARIANTS.values() if one.needs <= {"topics", "tables"}}
    assert known - audited == {INVARIANTS["events.no_dead_letters"]}  # it lists dead letters as explanations
    assert {one for one in audited if one.moment is Moment.ENDED} == set(ENDED.parts)


def test_an_invariant_without_its_facts_is_left_out() -> None:
    assert judge(Facts()) == []
    topics = good_story().facts().topics
    assert judge(Facts(topics)) == []


@pytest.mark.parametrize("exists", [True, False])
def test_an_unknown_outcome_allows_either_if_all_views_agree(exists: bool) -> None:
    story = good_story()
    outcome("place", id("r"), Outcome.UNKNOWN)(story)
    if not exists:
        story.log = [fact for fact in story.log if fact.subject not in {id("r"), reservation("r")}]
        del story.views.orders[id("r")]  # type: ignore[attr-defined]
    by_clients = Facts(story.facts().topics, history=story.facts().history, views=story.views)
    assert judge(by_clients) == []
    story.views.orders.pop(id("r"), None) if exists else story.views.orders.update({id("r"): {"state": "placed"}})  # type: ignore[attr-defined]
    assert "views differ" in {finding.check for finding in judge(by_clients)}
