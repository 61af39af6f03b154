"""What clients send about group-buys, and how campaigns and joins are shown."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, SkipValidation, Strict, model_validator

from contracts.events.campaign import CampaignGood, Measure, Rule, Threshold
from contracts.values import Fulfilment, Payment, Slug, Unit
from services.kit.http.body import Body
from services.kit.http.bounded import Instant
from services.kit.http.idempotency import content_hash
from services.kit.ids import Id
from services.orders.api.schemas.order import Address, Goods, Pickup, RecipientIn, lines_of
from services.orders.domain.campaign.campaign import Campaign, Tally
from services.orders.domain.campaign.join import Join, JoinState
from services.orders.domain.campaign.opening import Opening, Pledging
from services.orders.domain.order.policy import Wanted
from services.orders.domain.order.recipient import Recipient


class ThresholdIn(Body):
    """From where on the campaign forms: so many people, pieces, grams or fen pledged."""

    of: Literal["people", "quantity", "weight", "amount"]
    at_least: Annotated[int, Strict(), Field(ge=1, le=10**12)]


class NewCampaign(Body):
    """A campaign to be opened; of each of its goods, the quantity is the cap on what may be pledged."""

    campaign_id: Id | None = None
    market_day: Slug
    community: Slug
    closes_at: Instant
    goods: list[Goods] = Field(min_length=1, max_length=100)
    threshold: ThresholdIn
    shortfall: Literal["first-come", "at-least-one-each"] = "first-come"

    @model_validator(mode="after")
    def _each_item_once(self) -> Self:
        _once(self.goods)
        return self

    def digest(self) -> bytes:
        """Equal for equal content, whatever the id and the spelling."""
        return content_hash(self.model_dump(exclude={"campaign_id"}))

    def opening(self) -> Opening:
        """What the domain is asked."""
        return Opening(
            market_day=self.market_day,
            community=self.community,
            closes_at=self.closes_at,
            goods=_wanted(self.goods),
            threshold=Threshold(of=Measure(self.threshold.of), at_least=self.threshold.at_least),
            shortfall=Rule(self.shortfall),
        )


class Door(Body):
    """Brought by a courier; a pledge has no quote, as its slot is found once the campaign has formed."""

    kind: Literal["delivery"]
    address: Address


class NewJoin(Body):
    """A pledge to be taken: an order that will be placed if the campaign forms. Paid now, or on account."""

    join_id: Id | None = None
    recipient: RecipientIn
    lines: list[Goods] = Field(min_length=1, max_length=100)
    fulfilment: Annotated[Door | Pickup, Field(discriminator="kind")]
    payment: Literal["on_account", "prepaid"]

    @model_validator(mode="after")
    def _each_item_once(self) -> Self:
        _once(self.lines)
        return self

    def digest(self, campaign: UUID) -> bytes:
        """Equal for equal content in the same campaign, whatever the id and the spelling."""
        return content_hash({**self.model_dump(exclude={"join_id"}), "campaign": campaign})

    def without_person(self) -> dict[str, Any]:
        """The content as JSON values, nobody named and no door."""
        return self.model_dump(mode="json", exclude={"recipient": True, "fulfilment": {"address"}})

    def caller(self) -> str:
        """The digits of the phone without the country: the same for every way in which one person writes it."""
        digits = "".join(one for one in self.recipient.phone if one.isdigit())
        return digits.removeprefix("86") if len(digits) > 11 else digits

    def pledging(self, join: UUID, order: UUID, code: str) -> Pledging:
        """What the domain is asked."""
        how = self.fulfilment
        point = how.point if isinstance(how, Pickup) else None
        wanted, payment = _wanted(self.lines), Payment(self.payment)
        return Pledging(join, order, code, self.caller(), wanted, Fulfilment(how.kind), payment, point)

    def person(self) -> Recipient:
        """Who joins, and where it is to be brought."""
        who, how = self.recipient, self.fulfilment
        if isinstance(how, Pickup):
            return Recipient(who.name, who.phone)
        return Recipient(who.name, who.phone, how.address.text, how.address.lat, how.address.lon)


class EntryIn(NewJoin):
    """A join with its number in the list."""

    entry: Annotated[int, Strict(), Field(ge=1, le=2**31 - 1)]
    join_id: None = None


class RelayIn(Body):
    """A numbered list out of a chat group: each entry is a join with its number. Entries are judged one by one, so
    what arrives here is any JSON."""

    chat: Slug
    entries: list[SkipValidation[EntryIn]] = Field(min_length=1, max_length=500)


def _once(goods: list[Goods]) -> None:
    items = [one.item for one in goods]
    twice = next((item for item in items if items.count(item) > 1), None)
    if twice:
        raise ValueError(f"duplicate item {twice}: combine it into one line")


def _wanted(goods: list[Goods]) -> tuple[Wanted, ...]:
    return tuple(Wanted(one.item, one.quantity, one.weight_g) for one in goods)


def _amount(unit: Unit) -> str:
    return "weight_g" if unit is Unit.GRAM else "quantity"


def _good(good: CampaignGood, tally: Tally) -> dict[str, Any]:
    name = _amount(good.unit)
    return {"item": good.item, name: good.cap, f"pledged_{name}": tally.of(good.item)}


def shown_campaign(campaign: Campaign, tally: Tally, people: int) -> dict[str, Any]:
    """A campaign as it stands: what is pledged against each cap, how many joins and people; nobody named."""
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
        "threshold": terms.threshold.model_dump(mode="json"),
        "shortfall": terms.shortfall,
        "joins": tally.standing,
        "people": people,
        "reached": campaign.reached if campaign.judged else None,
        "reason": campaign.reason,
        "reservation": terms.reservation,
    }


def joined(join: Join) -> dict[str, Any]:
    """The answer to a taken join. Made of its terms alone, so a repeat gets it again, byte for byte."""
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


def shown_join(join: Join) -> dict[str, Any]:
    """A join as it stands: its share of each line and its order once there is a verdict, and what went back."""
    is_order = join.state is JoinState.ORDERED
    return joined(join) | {
        "state": join.state,
        "granted": join.granted,
        "order_id": join.terms.order if is_order else None,
        "refunded_fen": join.refunded_fen,
    }
