"""The response models of group-buys."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NotRequired
from uuid import UUID

import orjson
from typing_extensions import TypedDict

from contracts.events.campaign import CampaignGood, Measure, Rule
from contracts.values import Fulfilment, Payment, Unit
from services.orders.api.schemas.order_views import Line, lines_of
from services.orders.domain.campaign.campaign import Campaign, CampaignState, Tally
from services.orders.domain.campaign.join import Join, JoinState


class CampaignGoodView(TypedDict):
    """A good of a campaign: its cap and its pledges, in pieces, or in grams for weighed goods."""

    item: str
    quantity: NotRequired[int]
    pledged_quantity: NotRequired[int]
    weight_g: NotRequired[int]
    pledged_weight_g: NotRequired[int]


class ThresholdView(TypedDict):
    """The threshold at which a campaign forms."""

    of: Measure
    at_least: int


class CampaignView(TypedDict):
    """A campaign in its current state: pledges against each cap, numbers of joins and of people; no personal data.
    `reached` is null before there is a verdict.
    """

    campaign_id: UUID
    state: CampaignState
    settled: bool
    market_day: str
    community: str
    pool: str
    opened_at: datetime
    closes_at: datetime
    goods: list[CampaignGoodView]
    threshold: ThresholdView
    shortfall: Rule
    joins: int
    people: int
    reached: int | None
    reason: str
    reservation: UUID


class JoinAccepted(TypedDict):
    """A recorded join; `n` is its place in the log of the campaign."""

    join_id: UUID
    campaign_id: UUID
    n: int
    state: JoinState
    fulfilment: Fulfilment
    point: str | None
    payment: Payment
    lines: list[Line]
    total_fen: int
    accepted_at: datetime


class JoinView(JoinAccepted):
    """A join in its current state: once there is a verdict its share of each line and its order; the refund."""

    granted: list[int] | None
    order_id: UUID | None
    refunded_fen: int


class JoinPage(TypedDict):
    """A page of joins in log order; `next` is the cursor of the next page, null on the last."""

    items: list[JoinView]
    next: int | None


class EntryAnswer(TypedDict):
    """The answer to one entry of a list: `join` with status 201, else `problem`, a problem document. `entry` is null
    for an entry without a usable number.
    """

    entry: int | None
    join_id: NotRequired[UUID]
    status: int
    join: NotRequired[JoinAccepted]
    problem: NotRequired[dict[str, Any]]


class EntryAnswers(TypedDict):
    """One answer for each entry of a list, in its order."""

    answers: list[EntryAnswer]


class ShareView(TypedDict):
    """The granted share of one line, and the reason. `n`, the place of the join in the log, where its id may be hidden;
    `join` is then shown of the caller's own only.
    """

    join: NotRequired[UUID]
    n: NotRequired[int]
    line: int
    asked: int
    granted: int
    why: str


class VerdictView(TypedDict):
    """The result: formed or not, the sum of the pledges in the threshold's unit, and every line's share."""

    formed: bool
    reached: int
    reason: str
    shares: list[ShareView]


class CampaignVerdictView(TypedDict):
    """The verdict of a campaign with its inputs; a replay of the stored ones gives the same bytes. The pledges of
    others are without `join` and `member`, unless the caller may see all joins.
    """

    campaign_id: UUID
    inputs: dict[str, Any]
    verdict: VerdictView


def redacted_verdict(campaign: UUID, inputs: bytes, verdict: bytes, own: Collection[UUID]) -> CampaignVerdictView:
    """Return a verdict from its stored texts without the ids and members of joins that are not the caller's `own`."""
    given, result = orjson.loads(inputs), orjson.loads(verdict)
    shown = {str(id) for id in own}
    places = {pledge["join"]: pledge["n"] for pledge in given["pledges"]}
    given["pledges"] = [pledge if pledge["join"] in shown else _without(pledge) for pledge in given["pledges"]]
    shares = [{"n": places[share["join"]], **share} for share in result["shares"]]
    result["shares"] = [share if share["join"] in shown else _without(share) for share in shares]
    return {"campaign_id": campaign, "inputs": given, "verdict": result}


def _without(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in {"join", "member"}}


def campaign_view(campaign: Campaign, tally: Tally, people: int) -> CampaignView:
    """Return a campaign in its current state."""
    terms = campaign.terms
    return {
        "campaign_id": campaign.id,
        "state": campaign.state,
        "settled": campaign.settled,
        "market_day": terms.market_day,
        "community": terms.community,
        "pool": terms.pool,
        "opened_at": terms.opened_at,
        "closes_at": terms.closes_at,
        "goods": [_good(good, tally) for good in terms.goods],
        "threshold": {"of": terms.threshold.of, "at_least": terms.threshold.at_least},
        "shortfall": terms.shortfall,
        "joins": tally.standing,
        "people": people,
        "reached": campaign.reached if campaign.judged else None,
        "reason": campaign.reason,
        "reservation": terms.reservation,
    }


def _good(good: CampaignGood, tally: Tally) -> CampaignGoodView:
    pledged = tally.of(good.item)
    if good.unit is Unit.GRAM:
        return {"item": good.item, "weight_g": good.cap, "pledged_weight_g": pledged}
    return {"item": good.item, "quantity": good.cap, "pledged_quantity": pledged}


def join_accepted(join: Join) -> JoinAccepted:
    """Return the answer to a recorded join. It depends on the terms alone, so a repeat gets the same bytes."""
    terms = join.terms
    return {
        "join_id": join.id,
        "campaign_id": join.campaign,
        "n": join.n,
        "state": JoinState.PLEDGED,
        "fulfilment": terms.fulfilment,
        "point": terms.point,
        "payment": terms.payment,
        "lines": lines_of(terms),
        "total_fen": terms.total_fen,
        "accepted_at": terms.placed_at,
    }


def join_view(join: Join) -> JoinView:
    """Return a join in its current state."""
    return {
        **join_accepted(join),
        "state": join.state,
        "granted": None if join.granted is None else list(join.granted),
        "order_id": join.terms.order if join.state is JoinState.ORDERED else None,
        "refunded_fen": join.refunded_fen,
    }
