"""The verdict of a group-buy case by case, and the rows of a campaign's life."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from contracts.events import inventory as i
from contracts.events.campaign import CampaignGood, Measure, Rule, Threshold
from contracts.events.orders import GoodsLine, OrderLine
from contracts.values import Channel, Fulfilment, Payment, Unit
from services.orders.domain.campaign import verdict as judging
from services.orders.domain.campaign.campaign import (
    Campaign,
    CampaignState,
    Tally,
    Terms,
    answered,
    deadline_reached,
    judged,
)
from services.orders.domain.campaign.join import Join, JoinState, ordered, withdraw
from services.orders.domain.campaign.verdict import Grant, Inputs, Pledge, decide, inputs_text, replay, verdict_text
from services.orders.domain.order.order import OrderDeadline
from services.orders.domain.order.order import Terms as OrderTerms
from tests.unit.orders_given import CLOSES, NOW, SLOT

CUTOFF = NOW + timedelta(hours=2)
HONEY = CampaignGood(item="honey", unit=Unit.PIECE, unit_g=500, cap=100)
TOFU = CampaignGood(item="tofu", unit=Unit.GRAM, unit_g=1000, cap=50_000)


def inputs(
    *asked: int, of: str = "people", at_least: int = 1, rule: str = "first-come", granted: int = 100, **more: Any
) -> Inputs:
    """One honey line each, by different people; 500 fen a jar."""
    pledges = tuple(
        Pledge(UUID(int=n), n, n, 1, "honey", quantity, 500 * quantity) for n, quantity in enumerate(asked, 1)
    )
    known = Inputs(
        Threshold(of=Measure(of), at_least=at_least), Rule(rule), (HONEY, TOFU), pledges, (Grant("honey", granted),)
    )
    return replace(known, **more)


@pytest.mark.parametrize(
    ("of", "reached"), [("people", 3), ("quantity", 6), ("weight", 6 * 500 + 1500), ("amount", 6 * 500 + 2700)]
)
def test_each_threshold_counts_what_it_says(of: str, reached: int):
    tofu = Pledge(UUID(int=4), 4, 3, 1, "tofu", 1500, 2700)  # the third person's second join
    given = inputs(1, 2, 3)
    given = replace(given, pledges=(*given.pledges, tofu), granted=(*given.granted, Grant("tofu", 1500)))
    for at_least, formed in ((reached, True), (reached + 1, False)):
        verdict = decide(replace(given, threshold=Threshold(of=Measure(of), at_least=at_least)))
        assert (verdict.formed, verdict.reached) == (formed, reached)
        assert verdict.reason == f"{of}: {reached} of at least {at_least}"


@pytest.mark.parametrize(
    ("rule", "granted", "shares"),
    [
        ("first-come", 9, [4, 3, 2]),
        ("first-come", 6, [4, 2, 0]),
        ("first-come", 1, [1, 0, 0]),
        ("at-least-one-each", 9, [4, 3, 2]),
        ("at-least-one-each", 6, [4, 1, 1]),
        ("at-least-one-each", 5, [3, 1, 1]),
        ("at-least-one-each", 2, [1, 1, 0]),
    ],
)
def test_the_rules_of_a_shortfall(rule: str, granted: int, shares: list[int]):
    verdict = decide(inputs(4, 3, 2, rule=rule, granted=granted))
    assert verdict.formed
    assert [share.granted for share in verdict.shares] == shares
    assert all((share.why == "granted in full") is (share.granted == share.asked) for share in verdict.shares)


def test_each_line_says_why():
    first = decide(inputs(4, 3, granted=5)).shares[1]
    assert first.why == "first come, first served: 1 were left when number 2 was served"
    each = decide(inputs(4, 3, rule="at-least-one-each", granted=3)).shares[1]
    assert each.why == "one portion each: 1; then first come, first served: 0 were left for number 2"
    unformed = decide(inputs(4, at_least=2)).shares[0]
    assert (unformed.granted, unformed.why) == (0, "the group was not formed")


def test_a_portion_of_weighed_goods_is_a_jin_and_one_person_gets_one():
    lines = [(1, 1, 2000), (2, 1, 2000), (3, 3, 300)]
    pledges = tuple(Pledge(UUID(int=n), n, member, 1, "tofu", g, g) for n, member, g in lines)
    verdict = decide(inputs(rule="at-least-one-each", pledges=pledges, granted=0, at_least=2))
    assert (verdict.formed, verdict.reason) == (False, "no stock was granted")
    verdict = decide(replace(inputs(rule="at-least-one-each"), pledges=pledges, granted=(Grant("tofu", 900),)))
    assert [share.granted for share in verdict.shares] == [600, 0, 300]


def test_a_verdict_replays_from_the_text_of_its_inputs():
    given = inputs(4, 3, 2, granted=6)
    assert replay(inputs_text(given)) == verdict_text(decide(given))


def golden(version: int) -> list[tuple[str, bytes, bytes]]:
    """Name, inputs and verdict of each case, as they were when the version was made."""
    blocks = (Path(__file__).parent / "golden" / f"verdict-{version}.txt").read_bytes().strip().split(b"\n\n")
    return [(name.decode(), given, found) for name, given, found in (block.split(b"\n") for block in blocks)]


@pytest.mark.parametrize("version", range(1, judging.LATEST + 1))
def test_the_texts_of_a_version_are_the_same_bytes_for_ever(version: int):
    cases = golden(version)
    assert len(cases) >= 8
    for name, given, found in cases:
        assert json.loads(given)["version"] == version, name
        assert replay(given) == found, name
        assert inputs_text(judging._INPUTS.validate_json(given)) == given, name


def test_a_text_of_before_versions_is_of_the_first():
    _, given, found = golden(1)[1]
    assert replay(given.replace(b',"version":1', b"")) == found


def test_a_version_that_is_not_known_is_refused_in_words():
    with pytest.raises(ValueError, match=r"unknown rules version 7, expected one of 1.*upgrade this service"):
        decide(inputs(1, version=7))


def a_campaign(**more: Any) -> Campaign:
    """Open, forms with one person, closes in two hours."""
    terms = Terms(
        campaign=UUID(int=9),
        market_day="sat",
        community="qifeng",
        pool="sat@square",
        closes_at=CUTOFF,
        day_closes_at=CLOSES,
        opened_at=NOW,
        goods=(HONEY, TOFU),
        threshold=Threshold(of=Measure.PEOPLE, at_least=1),
        shortfall=Rule.FIRST_COME,
    )
    return replace(Campaign(terms), **more)


def a_join(n: int = 1, grams: int = 750, payment: str = "prepaid", **more: Any) -> Join:
    """Tofu at 901 fen a jin, so that half of it is not a whole fen."""
    line = OrderLine(
        line=1,
        item="tofu",
        quantity=grams,
        unit=Unit.GRAM,
        price_fen=901,
        price="p",
        amount_fen=(901 * grams + 250) // 500,
    )
    terms = OrderTerms(
        order=UUID(int=100 + n),
        channel=Channel.GROUP,
        market_day="sat",
        community="qifeng",
        pool="sat@square",
        lines=(line,),
        fulfilment=Fulfilment.PICKUP,
        payment=Payment(payment),
        code="123456",
        due_by=SLOT,
        closes_at=CLOSES,
        placed_at=NOW,
        point="gate",
        campaign=UUID(int=9),
        join=UUID(int=n),
    )
    return replace(Join(UUID(int=n), UUID(int=9), n, n, terms), **more)


def tally(*joins: Join) -> Tally:
    """Return the pledges of these joins."""
    counted = Tally()
    for join in joins:
        counted = counted.with_join(join.terms)
    return counted


def test_a_tally_counts_joins_and_makes_room_again():
    counted = tally(a_join(1), a_join(2, 250)).without(a_join(1).terms)
    assert (counted.joined, counted.standing, counted.of("tofu"), counted.of("honey")) == (2, 1, 250, 0)


def test_a_deadline_that_fires_too_early_waits_for_the_cutoff():
    campaign = a_campaign()
    decision = deadline_reached(campaign, tally(a_join()), (), CUTOFF - timedelta(microseconds=1))
    assert (decision.campaign, decision.events, decision.deadline) == (campaign, (), OrderDeadline(at=CUTOFF))


def test_the_cut_asks_once_for_all_that_is_pledged():
    decision = deadline_reached(a_campaign(), tally(a_join(1), a_join(2, 250)), (), CUTOFF)
    assert decision.campaign.state is CampaignState.CUT
    (ask,) = decision.commands
    assert isinstance(ask, i.ReserveStock)
    assert [(line.line, line.item, line.quantity) for line in ask.lines] == [(2, "tofu", 1000)]
    again = deadline_reached(decision.campaign, tally(a_join(1), a_join(2, 250)), (), CUTOFF)
    assert (again.campaign, again.events, again.commands) == (decision.campaign, (), (ask,))


@pytest.mark.parametrize("state", list(CampaignState))
def test_only_the_awaited_answer_changes_anything(state: CampaignState):
    campaign = a_campaign(state=state)
    claim: dict[str, Any] = {"pool": "sat@square", "order": campaign.id}
    mine, other = campaign.terms.reservation, UUID(int=1)
    moved = {
        name: answered(campaign, (a_join(),), message).campaign is not campaign
        for name, message in {
            "reserved": i.StockReserved(**claim, reservation=mine, firm=True, lines=[]),
            "refused": i.StockRefused(**claim, reservation=mine, reason="short"),
            "released": i.ReservationReleased(**claim, reservation=mine, quantity=0),
            "expired": i.ReservationExpired(**claim, reservation=mine),
            "other": i.StockReserved(**claim, reservation=other, firm=True, lines=[]),
            "other released": i.ReservationReleased(**claim, reservation=other, quantity=0),
        }.items()
    }
    ended = state in {CampaignState.FORMED, CampaignState.FAILED}
    expected = {"reserved": state is CampaignState.CUT, "refused": state is CampaignState.CUT, "released": ended}
    assert moved == dict.fromkeys(moved, False) | expected


def test_a_release_that_comes_while_joins_are_left_is_not_the_end():
    campaign = a_campaign(state=CampaignState.FORMED, left=1)
    claim: dict[str, Any] = {"pool": "sat@square", "order": campaign.id, "reservation": campaign.terms.reservation}
    assert answered(campaign, (), i.ReservationReleased(**claim, quantity=0)).campaign is campaign


def test_a_share_is_paid_for_at_the_frozen_price_and_the_rest_goes_back_to_the_fen():
    join = a_join(1, 750)
    granted = [GoodsLine(line=1, item="tofu", quantity=500)]
    verdict = judged(a_campaign(state=CampaignState.CUT), (join,), granted)
    decision = deadline_reached(verdict.campaign, Tally(), verdict.joins, CUTOFF)
    (order,), (settled,), (refund,) = decision.orders, decision.joins, decision.events
    assert (order.terms.total_fen, order.paid_fen, order.terms.lines[0].quantity) == (901, 901, 500)
    assert settled.state is JoinState.ORDERED
    assert settled.refunded_fen == refund.amount_fen == join.paid_fen - 901  # type: ignore[attr-defined]
    assert order.source == verdict.campaign.terms.reservation
    assert replace(order, attempt=2).source is None


def test_a_join_on_account_has_nothing_to_get_back():
    join = a_join(payment="on_account")
    assert withdraw(join)[1].amount_fen == 0
    order = ordered(replace(join, granted=(750,)), CUTOFF)
    assert order
    assert (order.money, order.terms.placed_at) == ((), CUTOFF)
    assert ordered(replace(join, granted=(0,)), CUTOFF) is None


def test_the_rest_is_released_with_the_last_join_and_again_until_that_is_answered():
    joins = tuple(a_join(n, granted=(750,)) for n in (1, 2))
    campaign = a_campaign(state=CampaignState.FORMED, left=2)
    first = deadline_reached(campaign, Tally(), joins[:1], CUTOFF)
    assert (first.campaign.left, first.commands) == (1, ())
    nothing_loaded = deadline_reached(first.campaign, Tally(), (), CUTOFF)
    assert (nothing_loaded.campaign, nothing_loaded.commands) == (first.campaign, ())
    second = deadline_reached(first.campaign, Tally(), joins[1:], CUTOFF)
    again = deadline_reached(second.campaign, Tally(), (), CUTOFF)
    assert [type(one) for one in (*second.commands, *again.commands)] == [i.ReleaseStock] * 2
    assert again.campaign is second.campaign
    done = replace(second.campaign, settled=True)
    assert deadline_reached(done, Tally(), (), CUTOFF).commands == ()
