"""The request and response models of group-buys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired, Self
from uuid import UUID

from pydantic import Field, SkipValidation, Strict, model_validator
from typing_extensions import TypedDict

from contracts.events.campaign import CampaignGood, Measure, Rule, Threshold
from contracts.values import Fulfilment, Payment, Slug, Unit
from services.kit.http.body import Body
from services.kit.http.bounded import Instant
from services.kit.http.idempotency import content_hash
from services.kit.ids import Id, Namespace, id_of_request
from services.orders.api.schemas.order import Address, Line, Pickup, RecipientIn, lines_of, recipient_of, without_person
from services.orders.commands.campaign import OpenCampaign
from services.orders.commands.goods import Goods
from services.orders.commands.join_campaign import JoinCampaign
from services.orders.domain.campaign.campaign import Campaign, CampaignState, Tally
from services.orders.domain.campaign.join import Join, JoinState
from services.orders.domain.campaign.opening import Opening
from services.orders.domain.order.policy import Wanted

_ENTRIES = Namespace("chat-entry")


class ThresholdIn(Body):
    """The threshold at which the campaign forms: a number of people, pieces, grams or fen pledged."""

    of: Literal["people", "quantity", "weight", "amount"]
    at_least: Annotated[int, Strict(), Field(ge=1, le=10**12)]


class NewCampaign(Body):
    """A campaign to open; the quantity of each of its goods is the cap on pledges."""

    campaign_id: Id | None = None
    market_day: Slug
    community: Slug
    closes_at: Instant
    goods: list[Goods] = Field(min_length=1, max_length=100)
    threshold: ThresholdIn
    shortfall: Literal["first-come", "at-least-one-each"] = "first-come"

    @model_validator(mode="after")
    def _each_item_once(self) -> Self:
        _no_duplicates(self.goods)
        return self

    def command(self, key: str | None) -> OpenCampaign:
        """Return the command under the id of the body, or else of the Idempotency-Key. Raises `UnusableId`."""
        opening = Opening(
            market_day=self.market_day,
            community=self.community,
            closes_at=self.closes_at,
            goods=_wanted(self.goods),
            threshold=Threshold(of=Measure(self.threshold.of), at_least=self.threshold.at_least),
            shortfall=Rule(self.shortfall),
        )
        digest = content_hash(self.model_dump(exclude={"campaign_id"}))
        return OpenCampaign(id_of_request(key, self.campaign_id), opening, digest, self.model_dump())


class Door(Body):
    """A delivery by a courier. A pledge has no quote, as its slot is planned after the campaign has formed."""

    kind: Literal["delivery"]
    address: Address


class NewJoin(Body):
    """A pledge: an order that is placed if the campaign forms. Paid now, or on account."""

    join_id: Id | None = None
    recipient: RecipientIn
    lines: list[Goods] = Field(min_length=1, max_length=100)
    fulfilment: Annotated[Door | Pickup, Field(discriminator="kind")]
    payment: Literal["on_account", "prepaid"]

    @model_validator(mode="after")
    def _each_item_once(self) -> Self:
        _no_duplicates(self.lines)
        return self

    def command(self, campaign: UUID, key: str | None) -> JoinCampaign:
        """Return the command under the id of the body, or else of the Idempotency-Key. Raises `UnusableId`."""
        return self._command(campaign, id_of_request(key, self.join_id))

    def _command(self, campaign: UUID, id: UUID) -> JoinCampaign:
        content, how = self.model_dump(), self.fulfilment
        hashed = {name: value for name, value in content.items() if name != "join_id"} | {"campaign": campaign}
        return JoinCampaign(
            id=id,
            campaign=campaign,
            caller=self._caller(),
            lines=_wanted(self.lines),
            fulfilment=Fulfilment(how.kind),
            payment=Payment(self.payment),
            point=how.point if isinstance(how, Pickup) else None,
            recipient=recipient_of(self.recipient, how.address if isinstance(how, Door) else None),
            digest=content_hash(hashed),
            content=without_person(content),
        )

    def _caller(self) -> str:
        """Return the digits of the phone without the country: the same for every way to write one number."""
        digits = "".join(one for one in self.recipient.phone if one.isdigit())
        return digits.removeprefix("86") if len(digits) > 11 else digits


class EntryIn(NewJoin):
    """A join with its number in the list."""

    entry: Annotated[int, Strict(), Field(ge=1, le=2**31 - 1)]
    join_id: None = None

    def entry_command(self, campaign: UUID, chat: str) -> JoinCampaign:
        """Return the command under the id that follows from chat and number."""
        return self._command(campaign, _ENTRIES.id(f"{campaign}/{chat}/{self.entry}"))


class RelayIn(Body):
    """A numbered list out of a chat group (接龙): each entry is a join with its number. Entries are judged one by one,
    so each may be any JSON.
    """

    chat: Slug
    entries: list[SkipValidation[EntryIn]] = Field(min_length=1, max_length=500)


def _no_duplicates(goods: list[Goods]) -> None:
    items = [one.item for one in goods]
    twice = next((item for item in items if items.count(item) > 1), None)
    if twice:
        raise ValueError(f"duplicate item {twice}: combine it into one line")


def _wanted(goods: list[Goods]) -> tuple[Wanted, ...]:
    return tuple(Wanted(one.item, one.quantity, one.weight_g) for one in goods)


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
    """The granted share of one line, and the reason."""

    join: UUID
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
    """The verdict of a campaign with the stored inputs, from which a replay gives the same bytes."""

    campaign_id: UUID
    inputs: dict[str, Any]
    verdict: VerdictView


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
