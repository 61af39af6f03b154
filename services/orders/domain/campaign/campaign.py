"""A group-buy as a value, and its steps: open until the cutoff, cut, judged once, settled join by join.

    open --closes_at--> cut --stock's answer--> formed | failed --joins settled, rest released--> settled

Each step is taken under the campaign's row lock. Joins are settled in parts after the verdict, each driven by a
deadline row: a crash between two parts neither loses a join nor settles it twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from contracts.envelope import Event
from contracts.events import campaign as c
from contracts.events import inventory as i
from contracts.events.orders import GoodsLine
from contracts.values import MAIN_TENANT, reservation_of
from services.orders.domain.campaign import verdict as judging
from services.orders.domain.campaign.join import Join, JoinState, end_join, ordered
from services.orders.domain.order.order import Order, OrderDeadline
from services.orders.domain.order.order import Terms as OrderTerms

ANSWER_WAIT = timedelta(minutes=1)
NOW = OrderDeadline(wait=timedelta(0))


class CampaignState(StrEnum):
    """The state of a campaign; formed and failed are its verdict and final."""

    OPEN = "open"
    CUT = "cut"
    FORMED = "formed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Terms:
    """The organiser's terms; never changed. `closes_at` is the first instant that is too late (business time),
    `day_closes_at` that of the market day. `leader`: the subject that opened it; None where a local token did.
    `chat_key`: the key of the ids of chat entries; None for campaigns of before there was one.
    """

    campaign: UUID
    market_day: str
    community: str
    pool: str
    closes_at: datetime
    day_closes_at: datetime
    opened_at: datetime
    goods: tuple[c.CampaignGood, ...]
    threshold: c.Threshold
    shortfall: c.Rule
    leader: str | None = None
    chat_key: bytes | None = field(default=None, repr=False)
    tenant: str = MAIN_TENANT

    @property
    def reservation(self) -> UUID:
        """The one reservation of the campaign, from which the orders of its joins take their stock."""
        return reservation_of(self.campaign, self.pool, 1)


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign in its current state. `left` joins are still to be settled; `settled`: all are, and the unused stock
    is released.
    """

    terms: Terms
    state: CampaignState = CampaignState.OPEN
    version: int = 1
    left: int = 0
    settled: bool = False
    reached: int = 0
    reason: str = ""

    @property
    def id(self) -> UUID:
        """The campaign's id."""
        return self.terms.campaign

    @property
    def judged(self) -> bool:
        """True once there is a verdict."""
        return self.state in {CampaignState.FORMED, CampaignState.FAILED}


@dataclass(frozen=True, slots=True)
class Tally:
    """The pledges of the active joins by item. `joined` counts all joins ever accepted and numbers them; `standing`
    leaves the withdrawn ones out.
    """

    joined: int = 0
    standing: int = 0
    pledged: Mapping[str, int] | None = None

    def of(self, item: str) -> int:
        """Return the pledged quantity of an item."""
        return (self.pledged or {}).get(item, 0)

    def with_join(self, terms: OrderTerms) -> Tally:
        """Return the tally with one more accepted join."""
        return self._changed(terms, 1, joined=self.joined + 1)

    def without(self, terms: OrderTerms) -> Tally:
        """Return the tally without a withdrawn join; its share of the cap is free again."""
        return self._changed(terms, -1, joined=self.joined)

    def _changed(self, terms: OrderTerms, sign: int, joined: int) -> Tally:
        pledged = dict(self.pledged or {})
        for line in terms.lines:
            pledged[line.item] = pledged.get(line.item, 0) + sign * line.quantity
        return Tally(joined, self.standing + sign, pledged)


@dataclass(frozen=True, slots=True)
class CampaignDecision:
    """The outcome of a step: the campaign and joins after it, new orders, events and commands.

    `deadline` None leaves the campaign's deadline unchanged. `verdict` is the stored texts of inputs and result.
    """

    campaign: Campaign
    events: tuple[Event, ...] = ()
    commands: tuple[Event, ...] = ()
    deadline: OrderDeadline | None = None
    joins: tuple[Join, ...] = ()
    orders: tuple[Order, ...] = ()
    verdict: tuple[bytes, bytes] | None = None


def opened(campaign: Campaign) -> CampaignDecision:
    """Return the first step of a campaign: it takes joins until its cutoff, for which a deadline is set."""
    terms = campaign.terms
    event = c.CampaignOpened(
        campaign=campaign.id,
        market_day=terms.market_day,
        community=terms.community,
        pool=terms.pool,
        closes_at=terms.closes_at,
        goods=list(terms.goods),
        threshold=terms.threshold,
        shortfall=terms.shortfall,
    )
    return CampaignDecision(campaign, (event,), deadline=OrderDeadline(at=terms.closes_at))


def deadline_reached(campaign: Campaign, tally: Tally, joins: Sequence[Join], now: datetime) -> CampaignDecision:
    """Take the step that the campaign's deadline is for. `now` is business time, read under the lock. `joins`: all
    pledged ones of a campaign that is cut; a part of the unsettled ones of a campaign that is judged, in log order.
    """
    if campaign.state is CampaignState.OPEN:
        if now < campaign.terms.closes_at:
            return CampaignDecision(campaign, deadline=OrderDeadline(at=campaign.terms.closes_at))
        return _cut(campaign, tally)
    if campaign.state is CampaignState.CUT:
        if now < campaign.terms.day_closes_at:
            return CampaignDecision(
                campaign, commands=(_reserve(campaign, tally),), deadline=OrderDeadline(wait=ANSWER_WAIT)
            )
        return judged(campaign, joins, ())  # after the market day no join can be served
    return CampaignDecision(campaign) if campaign.settled else _settle(campaign, joins, now)


def _cut(campaign: Campaign, tally: Tally) -> CampaignDecision:
    cut = _stepped(campaign, state=CampaignState.CUT)
    command = _reserve(campaign, tally)
    event = c.CampaignCut(
        campaign=campaign.id, joins=tally.standing, reservation=command.reservation, lines=command.lines
    )
    if not tally.standing:
        empty = judged(cut, (), ())
        return replace(empty, events=(event, *empty.events))
    return CampaignDecision(cut, (event,), (command,), OrderDeadline(wait=ANSWER_WAIT))


def _reserve(campaign: Campaign, tally: Tally) -> i.ReserveStock:
    goods = enumerate(campaign.terms.goods, 1)
    lines = [GoodsLine(line=n, item=good.item, quantity=tally.of(good.item)) for n, good in goods]
    pledged = [line for line in lines if line.quantity]
    return i.ReserveStock(**_claim(campaign), attempt=1, firm=True, mode="partial", lines=pledged)


def answered(campaign: Campaign, joins: Sequence[Join], message: i.ReservationEvent) -> CampaignDecision:
    """Take the step that inventory's answer about the campaign's reservation is for; any but the awaited answer
    changes nothing.
    """
    if message.reservation != campaign.terms.reservation:
        return CampaignDecision(campaign)
    match message:
        case i.StockReserved() if campaign.state is CampaignState.CUT:
            return judged(campaign, joins, message.lines)
        case i.StockRefused() if campaign.state is CampaignState.CUT:
            return judged(campaign, joins, ())
        case i.ReservationReleased() if campaign.judged and not campaign.left:
            return CampaignDecision(_stepped(campaign, settled=True), deadline=OrderDeadline())
    return CampaignDecision(campaign)


def judged(campaign: Campaign, joins: Sequence[Join], granted: Sequence[GoodsLine]) -> CampaignDecision:
    """Judge the campaign, once: every pledged join gets its shares, and settling starts at once."""
    inputs = _inputs(campaign, joins, granted)
    verdict = judging.decide(inputs)
    facts = {"campaign": campaign.id, "reached": verdict.reached, "joins": len(joins), "granted": list(granted)}
    event: Event = c.CampaignFormed(**facts) if verdict.formed else c.CampaignFailed(**facts, reason=verdict.reason)
    shares = {(share.join, share.line): share.granted for share in verdict.shares}
    served = tuple(replace(j, granted=tuple(shares[j.id, line.line] for line in j.terms.lines)) for j in joins)
    after = _stepped(
        campaign,
        state=CampaignState.FORMED if verdict.formed else CampaignState.FAILED,
        left=len(joins),
        settled=not joins,
        reached=verdict.reached,
        reason=verdict.reason,
    )
    texts = judging.inputs_text(inputs), judging.verdict_text(verdict)
    return CampaignDecision(after, (event,), deadline=NOW if joins else OrderDeadline(), joins=served, verdict=texts)


def _inputs(campaign: Campaign, joins: Sequence[Join], granted: Sequence[GoodsLine]) -> judging.Inputs:
    terms = campaign.terms
    pledges = (
        judging.Pledge(join.id, join.n, join.member, line.line, line.item, line.quantity, line.amount_fen)
        for join in joins
        for line in join.terms.lines
    )
    grants = tuple(judging.Grant(line.item, line.quantity) for line in granted)
    return judging.Inputs(terms.threshold, terms.shortfall, terms.goods, tuple(pledges), grants, judging.LATEST)


def _settle(campaign: Campaign, joins: Sequence[Join], now: datetime) -> CampaignDecision:
    """Turn some joins into orders or refund them; after the last one release the unused stock."""
    left = campaign.left - len(joins)
    orders = [order for join in joins if (order := ordered(join, now))]
    order_by_id = {order.id: order for order in orders}
    reason = "short" if campaign.state is CampaignState.FORMED else "not formed"
    settled_joins, refunds = [], []
    for join in joins:
        order = order_by_id.get(join.terms.order)
        if order and order.terms.goods == join.terms.goods:
            settled_joins.append(replace(join, state=JoinState.ORDERED))
            continue
        refund_fen = join.paid_fen - (order.paid_fen if order else 0)
        settled, refund = end_join(join, JoinState.ORDERED if order else JoinState.REFUNDED, refund_fen, reason)
        settled_joins.append(settled)
        refunds.append(refund)
    release = () if left else (i.ReleaseStock(**_claim(campaign)),)
    deadline = NOW if left else OrderDeadline(wait=ANSWER_WAIT)
    after = _stepped(campaign, left=left) if joins else campaign
    return CampaignDecision(after, tuple(refunds), release, deadline, tuple(settled_joins), tuple(orders))


def _claim(campaign: Campaign) -> dict[str, UUID | str]:
    return {"reservation": campaign.terms.reservation, "pool": campaign.terms.pool, "order": campaign.id}


def _stepped(campaign: Campaign, **changes: object) -> Campaign:
    return replace(campaign, version=campaign.version + 1, **changes)  # type: ignore[arg-type]
