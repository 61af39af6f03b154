"""Events that orders publishes: recipients (private), orders, stall sales."""

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
    """Recipient of an order and the address: the only record that carries a person. A tombstone erases it."""

    order: UUID
    name: str
    phone: str
    address: str = ""
    lat: float | None = None
    lon: float | None = None
    code: str = Field(description="code that the receiver gives the courier as proof of delivery")

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
    """A state change of an order; key and subject are the order."""

    order: UUID

    @property
    def key(self) -> str:
        return str(self.order)


class OrderPlaced(OrderEvent):
    """Order accepted and durable; its stock is requested."""

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
    """Stock held until `expires_at`, while payment is awaited."""

    reservation: UUID
    expires_at: Instant


class OrderReserved(OrderEvent):
    """Stock reserved: the claim is firm."""

    reservation: UUID


class OrderScheduled(OrderEvent):
    """Delivery slot promised by dispatch; `as_promised` is false where it is later than the quote."""

    job: UUID
    wave: Slug
    slot_from: Instant
    slot_until: Instant
    as_promised: bool = True


class OrderReady(OrderEvent):
    """Ready at the pickup point; the buyer has the code."""

    point: Slug | None = None


class OrderLoaded(OrderEvent):
    """Loaded on the courier's vehicle: from here on a cancel is refused."""

    job: UUID


class OrderDelivered(OrderEvent):
    """Delivered by a courier with proof. Terminal."""

    job: UUID


class GoodsLine(BaseModel):
    """A quantity of an item on a line of an order."""

    line: int
    item: Slug
    quantity: Quantity


class OrderCollected(OrderEvent):
    """Collected with the code: the goods of this reservation left the pool's stock. Terminal."""

    pool: Pool
    reservation: UUID
    lines: list[GoodsLine]


class OrderReturned(OrderEvent):
    """Order not handed over. Terminal. A pickup's claim ends; `job-returned` returns a delivery's goods."""

    pool: Pool
    reservation: UUID
    fulfilment: Fulfilment
    lines: list[GoodsLine]
    reason: UndeliveredReason = UndeliveredReason.OTHER


class OrderRejected(OrderEvent):
    """Rejected: no stock. Terminal."""

    reason: Words


class OrderExpired(OrderEvent):
    """Expired: not paid in time. Terminal, unless money comes late."""

    reason: Words = ""


class OrderReopened(OrderEvent):
    """Reopened: money came after the hold had ended; stock is requested once more, as this attempt."""

    attempt: int


class OrderCancelled(OrderEvent):
    """Cancelled by the buyer or an operator. Terminal. Words that came with it stay in the orders database."""

    reason: CancelReason = CancelReason.OTHER


class OrderFailed(OrderEvent):
    """Failed after a promise, for this reason. Terminal."""

    reason: Words


class OrderRefunded(OrderEvent):
    """Payment refunded, once per payment."""

    amount_fen: Fen
    payment: Token = Field(description="the payment that is refunded; one refund each")


class StallEvent(Event, topic="orders.stall.v1"):
    """An upload of a stall terminal; key and subject are the terminal. Device time is stored, never trusted."""

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
    """Cash session opened with a float."""

    float_fen: Fen = 0


class SaleLine(BaseModel):
    """Goods handed over at a stall."""

    item: Slug
    quantity: Quantity
    amount_fen: Fen


class SaleRecorded(StallEvent):
    """Sale at a stall: goods left the table. A fact, never refused."""

    sale: UUID
    lines: list[SaleLine]
    total_fen: Fen


class SaleVoided(StallEvent):
    """Sale of this terminal undone: its goods are on the table again."""

    sale: UUID
    lines: list[SaleLine]


class SaleConflicted(StallEvent):
    """Conflicting upload: other content came under a number already used. It is kept and listed, without effect."""

    kept_hash: Digest
    other_hash: Digest


class SessionClosed(StallEvent):
    """Session closed by its manifest; complete when every number up to `last_seq` has arrived."""

    last_seq: int
    cash_fen: Fen = 0
    expected_fen: Fen = 0
    complete: bool = True


class SessionAdjusted(StallEvent):
    """Late fact of a session that was closed and complete; the closed figures do not change.

    A sale or void is also published by its own event, which says what happened to the goods.
    """

    fact: LateFact
    close_seq: int = Field(description="the number of the manifest that closed the session")
    amount_fen: int = Field(description="what the fact adds to the cash that should be there; negative for a void")
    sale: UUID | None = None
    cash_fen: Fen | None = Field(default=None, description="of another close: the cash that it counted")
