"""An order as a value: its terms, which never change, and its state; and the requests that people make about it."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from contracts.envelope import Event
from contracts.events.dispatch import Quote
from contracts.events.orders import GoodsLine, OrderLine
from contracts.values import MAIN_TENANT, CancelReason, Channel, Fulfilment, Payment, job_of, reservation_of


class OrderState(StrEnum):
    """The state of an order. Only a late payment leaves a terminal state, and only `expired`."""

    PLACED = "placed"
    HELD = "held"
    RESERVED = "reserved"
    SCHEDULED = "scheduled"
    READY = "ready"
    LOADED = "loaded"
    CANCELLING = "cancelling"
    FAILING = "failing"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FAILED = "failed"
    DELIVERED = "delivered"
    COLLECTED = "collected"
    RETURNED = "returned"


HANDED_OVER = frozenset({OrderState.DELIVERED, OrderState.COLLECTED})
UNKEPT = frozenset(
    {OrderState.REJECTED, OrderState.EXPIRED, OrderState.CANCELLED, OrderState.FAILED, OrderState.RETURNED}
)
TERMINAL = HANDED_OVER | UNKEPT


class Awaiting(StrEnum):
    """The command that a cancelling or failing order waits for; its answer decides the next step."""

    NOTHING = ""
    JOB_CANCELLED = "cancel-delivery"
    STOCK_RELEASED = "release-stock"


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms agreed at acceptance. Prices are frozen in the lines; `code` is the receiver's six-digit proof.

    `due_by` (business time): for a delivery the start of the day's last slot, by which a job must have been planned,
    for a pickup the closing time of the point. `closes_at`: the end of the market day's order intake. `campaign` and
    `join`: the group-buy, and the pledge in it, that became this order; `leader` is the subject that leads it. `owner`:
    the subject that placed the order; None where a local token did, or where a leader pledged for a member of a chat.
    `receipt`: the payment, `PROVIDER:TRANSACTION`, of one that was paid before. `member`: the person that
    it is for. `tenant`: that of the caller who placed it.
    """

    order: UUID
    channel: Channel
    market_day: str
    community: str
    pool: str
    lines: tuple[OrderLine, ...]
    fulfilment: Fulfilment
    payment: Payment
    code: str
    due_by: datetime
    closes_at: datetime
    placed_at: datetime
    point: str | None = None
    quote: Quote | None = None
    basket: UUID | None = None
    hold_ttl_s: int = 900
    campaign: UUID | None = None
    join: UUID | None = None
    owner: str | None = None
    leader: str | None = None
    receipt: str | None = None
    member: UUID | None = None
    tenant: str = MAIN_TENANT

    @property
    def total_fen(self) -> int:
        """The sum of the lines, in fen."""
        return sum(line.amount_fen for line in self.lines)

    @property
    def goods(self) -> list[GoodsLine]:
        """The lines as quantities only, as inventory and dispatch receive them."""
        return [GoodsLine(line=one.line, item=one.item, quantity=one.quantity) for one in self.lines]

    @property
    def is_delivery(self) -> bool:
        """True where a courier brings the order; else it is picked up."""
        return self.fulfilment is Fulfilment.DELIVERY

    def has_code(self, code: str) -> bool:
        """Compare a code with the order's in constant time."""
        return hmac.compare_digest(code.encode(), self.code.encode())


@dataclass(frozen=True, slots=True)
class Money:
    """One payment of an order, under the payer's id of it; it is refunded at most once, in full."""

    payment: str
    amount_fen: int
    refunded: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """An order in its current state. `version` counts its steps; `job` is the delivery job of the current
    reservation.
    """

    terms: Terms
    state: OrderState = OrderState.PLACED
    attempt: int = 1
    version: int = 1
    awaiting: Awaiting = Awaiting.NOTHING
    reason: str = ""
    hold_until: datetime | None = None
    wave: str | None = None
    slot_from: datetime | None = None
    slot_until: datetime | None = None
    as_promised: bool = True
    money: tuple[Money, ...] = ()

    @property
    def id(self) -> UUID:
        """The order's id."""
        return self.terms.order

    @property
    def reservation(self) -> UUID:
        """The reservation of the current attempt; answers about another one are ignored."""
        return reservation_of(self.terms.order, self.terms.pool, self.attempt)

    @property
    def source(self) -> UUID | None:
        """The group-buy's reservation, from which the first attempt takes its stock; None where there is none."""
        campaign = self.terms.campaign if self.attempt == 1 else None
        return reservation_of(campaign, self.terms.pool, 1) if campaign else None

    @property
    def job(self) -> UUID:
        """The delivery job of the current reservation, also before dispatch has received it."""
        return job_of(self.terms.order, self.reservation)

    @property
    def paid_fen(self) -> int:
        """The sum of all payments, in fen."""
        return sum(one.amount_fen for one in self.money)

    @property
    def refunded_fen(self) -> int:
        """The sum of all refunds, in fen."""
        return sum(one.amount_fen for one in self.money if one.refunded)

    @property
    def is_paid(self) -> bool:
        """True where a payment was received that was not refunded."""
        return any(not one.refunded for one in self.money)

    def with_money(self, payment: str, amount_fen: int) -> Order:
        """The order with one more payment."""
        return replace(self, money=(*self.money, Money(payment, amount_fen)))


@dataclass(frozen=True, slots=True)
class Cancel:
    """A request of the buyer or an operator to cancel. The `note` is stored with the step and never published."""

    reason: CancelReason = CancelReason.OTHER
    note: str = ""


@dataclass(frozen=True, slots=True)
class Paid:
    """A payment was received, under the payer's id of it. `has_receipt` is False where only the caller's word says so:
    then it is refused where it would be given back at once.
    """

    payment: str
    amount_fen: int
    has_receipt: bool = True


@dataclass(frozen=True, slots=True)
class Ready:
    """A pickup has arrived at its point."""


WRONG_CODE = "the code is not the code of this order"


@dataclass(frozen=True, slots=True)
class Collect:
    """A customer at the point shows a code."""

    code: str


@dataclass(frozen=True, slots=True)
class Refund:
    """An operator refunds the payments of an order that has ended."""


@dataclass(frozen=True, slots=True)
class Timeout:
    """The order's deadline was reached."""


@dataclass(frozen=True, slots=True)
class OrderDeadline:
    """The time of the next `Timeout`: `at` in business time, or after `wait` of real time; with neither, none."""

    at: datetime | None = None
    wait: timedelta | None = None


@dataclass(frozen=True, slots=True)
class OrderDecision:
    """The outcome of a message. `step` is False where nothing happened; `refused` is the reason against a request.

    `deadlines` is empty where the order's deadline is unchanged, else it has the one that replaces it.
    """

    order: Order
    events: tuple[Event, ...] = ()
    commands: tuple[Event, ...] = ()
    deadlines: tuple[OrderDeadline, ...] = ()
    step: bool = True
    refused: str = field(default="", kw_only=True)
