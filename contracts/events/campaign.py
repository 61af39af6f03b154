"""What orders publishes about group-buys: pledges in the order that counts, the cut, the verdict, what goes back.

The standing joins of a campaign are its `join-accepted` records less those with a `join-refunded` before
`campaign-cut`, in the order of `n`: with the granted quantities they are all that the verdict is made of.
"""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel, Field

from contracts.envelope import Event
from contracts.events.orders import GoodsLine, OrderLine
from contracts.values import Fen, Fulfilment, Instant, OpenEnum, Payment, Pool, Quantity, Slug, Unit, Words


class Measure(OpenEnum):
    """What a threshold counts: people who joined, pieces, grams, or fen pledged."""

    PEOPLE = "people"
    QUANTITY = "quantity"
    WEIGHT = "weight"
    AMOUNT = "amount"
    UNKNOWN = "unknown"


class Rule(OpenEnum):
    """Who bears it when less is granted than was pledged."""

    FIRST_COME = "first-come"
    AT_LEAST_ONE_EACH = "at-least-one-each"
    UNKNOWN = "unknown"


class Threshold(BaseModel):
    """The campaign forms when at least so much is pledged: people, pieces, grams or fen."""

    of: Measure
    at_least: int = Field(ge=1)


class CampaignGood(BaseModel):
    """An item that may be pledged, and how much of it at most; `unit_g` is what a piece (or 1 000 grams) weighs."""

    item: Slug
    unit: Unit
    unit_g: int = Field(ge=0)
    cap: Quantity


class CampaignEvent(Event, topic="orders.campaign.v1"):
    """A step in the life of a group-buy; key and subject are the campaign."""

    campaign: UUID

    @property
    def key(self) -> str:
        return str(self.campaign)


class CampaignOpened(CampaignEvent):
    """Takes joins until `closes_at`, that instant excluded."""

    market_day: Slug
    community: Slug
    pool: Pool
    closes_at: Instant
    goods: list[CampaignGood]
    threshold: Threshold
    shortfall: Rule


class JoinAccepted(CampaignEvent):
    """A pledge that counts: the `n`-th of the campaign, by its `member`-th person. Its prices are frozen."""

    join: UUID
    n: int = Field(ge=1)
    member: int = Field(ge=1, description="equal for the joins of one person; says nothing else of them")
    lines: list[OrderLine]
    total_fen: Fen
    fulfilment: Fulfilment
    point: Slug | None = None
    payment: Payment


class CampaignCut(CampaignEvent):
    """No more joins. `lines` is what the standing joins pledge of each item, asked for as this reservation."""

    joins: int
    reservation: UUID
    lines: list[GoodsLine]


class CampaignVerdict(CampaignEvent):
    """What became of a campaign; said once. `reached` is in the unit of its threshold."""

    reached: int
    joins: int
    granted: list[GoodsLine] = []


class CampaignFormed(CampaignVerdict):
    """Every join that got something of `granted` becomes an order, the others go back."""


class CampaignFailed(CampaignVerdict):
    """Every join goes back."""

    reason: Words


class JoinRefunded(CampaignEvent):
    """What a join was not given ends here, once: withdrawn before the cut, not formed, or short.

    `amount_fen` is the money that goes back, 0 where nothing had been paid.
    """

    join: UUID
    amount_fen: Fen
    reason: Words
