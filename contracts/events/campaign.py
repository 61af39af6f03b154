"""Events of group-buys, published by orders: pledges in their effective order, the cut, the verdict, refunds.

The standing joins of a campaign are its `join-accepted` records less those with a `join-refunded` before
`campaign-cut`, in the order of `n`. The verdict follows from them and the granted quantities alone.
"""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel, Field

from contracts.envelope import Event
from contracts.events.orders import GoodsLine, OrderLine
from contracts.values import Fen, Fulfilment, Instant, OpenEnum, Payment, Pool, Quantity, Slug, Unit, Words


class Measure(OpenEnum):
    """Unit of a threshold: people who joined, pieces, grams, or fen pledged."""

    PEOPLE = "people"
    QUANTITY = "quantity"
    WEIGHT = "weight"
    AMOUNT = "amount"
    UNKNOWN = "unknown"


class Rule(OpenEnum):
    """Rule that splits the goods when less is granted than was pledged."""

    FIRST_COME = "first-come"
    AT_LEAST_ONE_EACH = "at-least-one-each"
    UNKNOWN = "unknown"


class Threshold(BaseModel):
    """The campaign forms when at least so much is pledged: people, pieces, grams or fen."""

    of: Measure
    at_least: int = Field(ge=1)


class CampaignGood(BaseModel):
    """An item that may be pledged, with its cap; `unit_g` is the weight of a piece (or of 1 000 grams)."""

    item: Slug
    unit: Unit
    unit_g: int = Field(ge=0)
    cap: Quantity


class CampaignEvent(Event, topic="orders.campaign.v1"):
    """A state change of a group-buy; key and subject are the campaign."""

    campaign: UUID

    @property
    def key(self) -> str:
        return str(self.campaign)


class CampaignOpened(CampaignEvent):
    """Campaign opened: it takes joins until `closes_at`, that instant excluded."""

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
    """Closed to joins. `lines` sums the pledges of the standing joins by item; `reservation` requests them."""

    joins: int
    reservation: UUID
    lines: list[GoodsLine]


class CampaignVerdict(CampaignEvent):
    """Result of a campaign, published once. `reached` is in the unit of its threshold."""

    reached: int
    joins: int
    granted: list[GoodsLine] = []


class CampaignFormed(CampaignVerdict):
    """Campaign formed: each join with a share of `granted` becomes an order, the others are refunded."""


class CampaignFailed(CampaignVerdict):
    """Campaign failed: every join is refunded."""

    reason: Words


class JoinRefunded(CampaignEvent):
    """Ends the part of a join that was not granted, once: withdrawn before the cut, not formed, or short.

    `amount_fen` is the money to be refunded, 0 where nothing had been paid.
    """

    join: UUID
    amount_fen: Fen
    reason: Words
