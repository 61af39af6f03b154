"""Any group of pledges, any grant: the split is exact, fair by its rule and replayable; every fen and join is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from contracts.events import inventory as i
from contracts.events.campaign import JoinRefunded, Measure, Rule, Threshold
from contracts.events.orders import GoodsLine
from contracts.values import Unit
from services.orders.domain.campaign.campaign import Campaign, CampaignState, answered, deadline_reached
from services.orders.domain.campaign.join import Join, JoinState
from services.orders.domain.campaign.verdict import (
    Grant,
    Inputs,
    Pledge,
    decide,
    inputs_text,
    measure,
    replay,
    verdict_text,
)
from tests.unit.test_orders_campaign import CUTOFF, HONEY, TOFU, a_campaign, a_join, tally

GOODS = {"honey": HONEY, "tofu": TOFU}


@st.composite
def given_inputs(draw: Any) -> Inputs:
    joins = draw(
        st.lists(
            st.dictionaries(st.sampled_from(list(GOODS)), st.integers(1, 3000), min_size=1), min_size=1, max_size=12
        )
    )
    members = [draw(st.integers(1, n)) for n in range(1, len(joins) + 1)]
    pledges = tuple(
        Pledge(UUID(int=n), n, member, line, item, asked, 3 * asked)
        for n, (goods, member) in enumerate(zip(joins, members, strict=True), 1)
        for line, (item, asked) in enumerate(goods.items(), 1)
    )
    asked = {item: sum(p.asked for p in pledges if p.item == item) for item in GOODS}
    granted = tuple(Grant(item, draw(st.integers(0, total))) for item, total in asked.items())
    of = draw(st.sampled_from([m for m in Measure if m is not Measure.UNKNOWN]))
    rule = draw(st.sampled_from([Rule.FIRST_COME, Rule.AT_LEAST_ONE_EACH]))
    return Inputs(Threshold(of=of, at_least=draw(st.integers(1, 40))), rule, (HONEY, TOFU), pledges, granted)


@given(given_inputs())
def test_a_split_gives_out_exactly_what_was_granted_and_nobody_more_than_asked(inputs: Inputs):
    verdict = decide(inputs)
    assert [(s.join, s.line, s.asked) for s in verdict.shares] == [(p.join, p.line, p.asked) for p in inputs.pledges]
    assert all(0 <= share.granted <= share.asked for share in verdict.shares)
    items = {(p.join, p.line): p.item for p in inputs.pledges}
    for grant in inputs.granted:
        given_out = sum(s.granted for s in verdict.shares if items[s.join, s.line] == grant.item)
        assert given_out == (grant.quantity if verdict.formed else 0)


@given(given_inputs())
def test_a_verdict_is_the_threshold_and_replays_to_the_same_bytes(inputs: Inputs):
    verdict = decide(inputs)
    enough = measure(inputs) >= inputs.threshold.at_least
    assert verdict.formed is (enough and any(grant.quantity for grant in inputs.granted))
    assert replay(inputs_text(inputs)) == verdict_text(verdict)


@given(given_inputs())
def test_nobody_gets_a_second_portion_before_everyone_has_one(inputs: Inputs):
    verdict = decide(replace(inputs, rule=Rule.AT_LEAST_ONE_EACH, threshold=Threshold(of=Measure.PEOPLE, at_least=1)))
    shares = {(s.join, s.line): s.granted for s in verdict.shares}
    for item, good in GOODS.items():
        portion = 500 if good.unit is Unit.GRAM else 1
        lines = [p for p in inputs.pledges if p.item == item]
        firsts = [next(p for p in lines if p.member == member) for member in dict.fromkeys(p.member for p in lines)]
        wanting = [p for p in firsts if shares[p.join, p.line] < min(portion, p.asked)]
        if wanting:
            assert all(shares[p.join, p.line] <= portion for p in firsts)


def play(campaign: Campaign, joins: list[Join], answer: list[GoodsLine], part: int) -> tuple[Campaign, list[Any]]:
    """From the cutoff to the end, so many joins at a time; all decisions on the way."""
    counted = tally(*joins)
    decisions = [deadline_reached(campaign, counted, (), CUTOFF)]
    campaign = decisions[-1].campaign
    claim: dict[str, Any] = {"pool": "sat@square", "order": campaign.id, "reservation": campaign.terms.reservation}
    reply = i.StockReserved(**claim, firm=True, lines=answer) if answer else i.StockRefused(**claim, reason="short")
    decisions.append(answered(campaign, joins, reply))
    left, campaign = list(decisions[-1].joins), decisions[-1].campaign
    while not campaign.settled:
        decisions.append(deadline_reached(campaign, counted, left[:part], CUTOFF))
        left, campaign = left[part:], decisions[-1].campaign
        if decisions[-1].commands:
            decisions.append(answered(campaign, (), i.ReservationReleased(**claim, quantity=0)))
            campaign = decisions[-1].campaign
    return campaign, decisions


@given(
    st.lists(st.tuples(st.integers(1, 2000), st.sampled_from(["prepaid", "on_account"])), min_size=1, max_size=9),
    st.integers(0, 20_000),
    st.integers(1, 4),
    st.integers(1, 12),
)
def test_every_join_ends_once_and_every_fen_is_an_orders_or_goes_back(
    asked: list[tuple[int, str]], granted: int, part: int, at_least: int
):
    joins = [a_join(n, grams, payment) for n, (grams, payment) in enumerate(asked, 1)]
    there = min(granted, sum(grams for grams, _ in asked))
    terms = replace(a_campaign().terms, threshold=Threshold(of=Measure.PEOPLE, at_least=at_least))
    answer = [GoodsLine(line=2, item="tofu", quantity=there)] if there else []
    campaign, decisions = play(Campaign(terms), joins, answer, part)
    assert campaign.state is (CampaignState.FORMED if there and len(joins) >= at_least else CampaignState.FAILED)
    ended = [join for decision in decisions[2:] for join in decision.joins]
    assert [join.id for join in ended] == [join.id for join in joins]
    assert all(join.state in {JoinState.ORDERED, JoinState.REFUNDED} for join in ended)
    orders = {order.terms.join: order for decision in decisions for order in decision.orders}
    refunds = [e for decision in decisions for e in decision.events if isinstance(e, JoinRefunded)]
    assert len({refund.join for refund in refunds}) == len(refunds)
    for join in ended:
        back = sum(refund.amount_fen for refund in refunds if refund.join == join.id)
        kept = orders[join.id].paid_fen if join.id in orders else 0
        assert back + kept == join.paid_fen
    handed_on = sum(line.quantity for order in orders.values() for line in order.terms.lines)
    assert handed_on == (there if campaign.state is CampaignState.FORMED else 0)
    assert [type(c).__name__ for d in decisions for c in d.commands] == ["ReserveStock", "ReleaseStock"]
