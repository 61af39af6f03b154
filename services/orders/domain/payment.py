"""Receipts: money that a payment provider says it received, and the order that it pays. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.orders.domain.order.order import Order, Paid
from services.orders.domain.order.state_machine import decide

CURRENCY = "CNY"
"""The currency (ISO 4217) of all amounts."""


class ReceiptState(StrEnum):
    """A receipt pays the one order that it is matched with, or waits for finance as unmatched."""

    MATCHED = "matched"
    UNMATCHED = "unmatched"


class Mismatch(StrEnum):
    """Reason for which a receipt pays no order."""

    UNKNOWN_ORDER = "unknown-order"
    OTHER_AMOUNT = "other-amount"
    OTHER_CURRENCY = "other-currency"


@dataclass(frozen=True, slots=True)
class Notice:
    """A provider's notice that it received a payment for an order. `transaction` is its own id of the payment,
    `paid_at` the time by its clock, `currency` as in ISO 4217.
    """

    provider: str
    transaction: str
    order: UUID
    amount_fen: int
    currency: str
    paid_at: datetime

    @property
    def key(self) -> tuple[str, str]:
        """Provider and transaction: the receipt's id."""
        return self.provider, self.transaction

    @property
    def paid(self) -> Paid:
        """The payment as the order records it."""
        return Paid(f"{self.provider}:{self.transaction}", self.amount_fen)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A notice that is stored. `reason` is empty for a matched one, `received_at` real time."""

    notice: Notice
    received_at: datetime
    state: ReceiptState
    reason: str = ""


def receive(notice: Notice, order: Order | None, now: datetime) -> Receipt:
    """Return the receipt of a new notice, `now` in real time. It is matched where the order takes the payment: also one
    that has ended, which gives the money back, once. Anything else is unmatched, and changes no order.
    """
    reason = _mismatch(notice, order, now)
    return Receipt(notice, now, ReceiptState.UNMATCHED if reason else ReceiptState.MATCHED, reason)


def _mismatch(notice: Notice, order: Order | None, now: datetime) -> str:
    if order is None:
        return Mismatch.UNKNOWN_ORDER
    if notice.currency != CURRENCY:
        return Mismatch.OTHER_CURRENCY
    # the order refuses only another amount than its total
    return Mismatch.OTHER_AMOUNT if decide(order, notice.paid, now).refused else ""
