"""What orders publishes: recipients (private), orders, stall sales."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel, Field

from contracts.envelope import Event
from contracts.values import (
    CancelReason,
    Channel,
    Digest,
    Fen,
    Fulfilment,
    Instant,
    LateFact,
    Payment,
    Pool,
    Quantity,
    Slug,
    Token,
    UndeliveredReason,
    Unit,
    Words,
)


class RecipientPut(Event, topic="orders.recipient.v1"):
    """Who receives an order and where: the only record that carries a person. A tombstone erases it."""

    order: UUID
    name: str
    phone: str
    address: str = ""
    lat: float | None = None
    lon: float | None = None
    code: str = Field(description="what the receiver tells the courier as proof of delivery")

    @property
    def key(self) -> str:
        return str(self.order)


class OrderLine(BaseModel):
    """A line with its frozen price; `amount_fen` is rounded once."""

    line: int
    item: Slug
    quantity: Quantity
    unit: Unit = Unit.PIECE
    price_fen: Fen
    price: Slug
    amount_fen: Fen


class OrderEvent(Event, topic="orders.order.v1"):
    """A step in the life of an order; key and subject are the order."""

    order: UUID

    @property
    def key(self) -> str:
        return str(self.order)


class OrderPlaced(OrderEvent):
    """Accepted and durable; stock has been asked for."""

    channel: Channel
    market_day: Slug
    community: Slug
    pool: Pool
    lines: list[OrderLine]
    total_fen: Fen
    fulfilment: Fulfilment
    point: Slug | None = None
    payment: Payment
    basket: UUID | None = None
    attempt: int = 1
    campaign: UUID | None = Field(default=None, description="the group-buy that a join became this order of")
    join: UUID | None = None


class OrderHeld(OrderEvent):
    """Stock is held until `expires_at`; the money is awaited."""

    reservation: UUID
    expires_at: Instant


class OrderReserved(OrderEvent):
    """Stock is firm."""

    reservation: UUID


class OrderScheduled(OrderEvent):
    """Dispatch promised a slot; `as_promised` is false where it is later than the quote."""

    job: UUID
    wave: Slug
    slot_from: Instant
    slot_until: Instant
    as_promised: bool = True


class OrderReady(OrderEvent):
    """Waiting at the pickup point; the buyer has the code."""

    point: Slug | None = None


class OrderLoaded(OrderEvent):
    """On the courier's vehicle: from here on a cancel is refused."""

    job: UUID


class OrderDelivered(OrderEvent):
    """Handed over by a courier with proof. Terminal."""

    job: UUID


class GoodsLine(BaseModel):
    """A quantity of an item on a line of an order."""

    line: int
    item: Slug
    quantity: Quantity


class OrderCollected(OrderEvent):
    """Picked up with the code: the goods of this reservation left the pool's stock. Terminal."""

    pool: Pool
    reservation: UUID
    lines: list[GoodsLine]


class OrderReturned(OrderEvent):
    """Not handed over. Terminal. For a pickup the claim on the goods ends; a delivery's goods come by job-returned."""

    pool: Pool
    reservation: UUID
    fulfilment: Fulfilment
    lines: list[GoodsLine]
    reason: UndeliveredReason = UndeliveredReason.OTHER


class OrderRejected(OrderEvent):
    """No stock. Terminal."""

    reason: Words


class OrderExpired(OrderEvent):
    """Not paid in time. Terminal, unless money comes late."""

    reason: Words = ""


class OrderReopened(OrderEvent):
    """Money came after the hold had ended: tried again once, as this attempt."""

    attempt: int


class OrderCancelled(OrderEvent):
    """Ended at the buyer's or operator's wish. Terminal. Words that came with it stay in the orders database."""

    reason: CancelReason = CancelReason.OTHER


class OrderFailed(OrderEvent):
    """Could not be kept: why. Terminal."""

    reason: Words


class OrderRefunded(OrderEvent):
    """What was paid is given back, once per payment."""

    amount_fen: Fen
    payment: Token = Field(description="the payment that is refunded; one refund each")


class StallEvent(Event, topic="orders.stall.v1"):
    """What a stall terminal uploaded; key and subject are the terminal. Device time is stored, never trusted."""

    terminal: Slug
    pool: Pool
    device: Token
    session: Token
    seq_no: int = Field(ge=1, description="the upload's number in its device and session")
    recorded_at: Instant
    clock_invalid: bool = Field(
        default=False, description="the device gave no usable time; recorded_at is when the upload was received"
    )

    @property
    def key(self) -> str:
        return self.terminal


class SessionOpened(StallEvent):
    """A cash session began with a float."""

    float_fen: Fen = 0


class SaleLine(BaseModel):
    """What was handed over at a stall."""

    item: Slug
    quantity: Quantity
    amount_fen: Fen


class SaleRecorded(StallEvent):
    """Goods left the table: a fact, never refused."""

    sale: UUID
    lines: list[SaleLine]
    total_fen: Fen


class SaleVoided(StallEvent):
    """A sale of this terminal was undone and its goods are on the table again."""

    sale: UUID
    lines: list[SaleLine]


class SaleConflicted(StallEvent):
    """Another content came under a number that was taken: kept, shown, without effect."""

    kept_hash: Digest
    other_hash: Digest


class SessionClosed(StallEvent):
    """The session's manifest: it is complete when every number up to `last_seq` has arrived."""

    last_seq: int
    cash_fen: Fen = 0
    expected_fen: Fen = 0
    complete: bool = True


class SessionAdjusted(StallEvent):
    """A fact came for a session that was closed and complete; the closed figures stay as they were.

    A sale or void is also published by its own event, which says what happened to the goods.
    """

    fact: LateFact
    close_seq: int = Field(description="the number of the manifest that closed the session")
    amount_fen: int = Field(description="what the fact adds to the cash that should be there; negative for a void")
    sale: UUID | None = None
    cash_fen: Fen | None = Field(default=None, description="of another close: the cash that it counted")
