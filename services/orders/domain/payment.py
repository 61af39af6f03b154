"""Receipts: money that a payment provider says it received, and the order that it pays. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.orders.domain.order.order import Order, Paid
from services.orders.domain.order.policy import Refusal
from services.orders.domain.order.state_machine import decide

CURRENCY = "CNY"
"""The currency (ISO 4217) of all amounts."""


def payment_of(provider: str, transaction: str) -> str:
    """Return a payment as an order names it; the name of a provider has no colon."""
    return f"{provider}:{transaction}"


class ReceiptState(StrEnum):
    """A receipt pays the one order that it is matched with, or waits for finance as unmatched."""

    MATCHED = "matched"
    UNMATCHED = "unmatched"


class Mismatch(StrEnum):
    """Reason for which a receipt pays no order."""

    UNKNOWN_ORDER = "unknown-order"
    OTHER_AMOUNT = "other-amount"
    OTHER_CURRENCY = "other-currency"


EXCESS = "excess"
"""The reason of a matched receipt with more than its order costs: the rest waits for finance."""


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
    def payment(self) -> str:
        """The payment as an order names it."""
        return payment_of(self.provider, self.transaction)

    @property
    def paid(self) -> Paid:
        """The payment as an order records it."""
        return Paid(self.payment, self.amount_fen)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A notice that is stored; `received_at` is real time. A matched one `pays` an order or join."""

    notice: Notice
    received_at: datetime
    pays: UUID | None = None
    reason: str = ""

    @property
    def state(self) -> ReceiptState:
        """The state."""
        return ReceiptState.UNMATCHED if self.pays is None else ReceiptState.MATCHED

    def used_for(self, id: UUID, total_fen: int) -> Receipt:
        """The receipt after it has paid an order or join of this total."""
        return replace(self, pays=id, reason=EXCESS if self.notice.amount_fen > total_fen else "")


def receive(notice: Notice, order: Order | None, now: datetime) -> Receipt:
    """Return the receipt of a new notice, `now` in real time. It is matched where the order takes the payment: also one
    that has ended, which gives the money back, once. Anything else is unmatched, and changes no order.
    """
    reason = _mismatch(notice, order, now)
    return Receipt(notice, now, None if reason else notice.order, reason)


def check_receipt(receipt: Receipt | None, id: UUID, total_fen: int) -> Refusal | None:
    """Return the reason against an order or join of this id and total that names the receipt of its payment. The
    provider must name this id, so that no transaction of another buyer can be used; which it names is not shown.
    """
    notice = receipt.notice if receipt and receipt.state is ReceiptState.UNMATCHED else None
    if notice is None or (notice.order, notice.currency) != (id, CURRENCY):
        why = f"no unused payment of this receipt for {id} has arrived: wait for the provider, or send pending"
    elif notice.amount_fen < total_fen:
        why = (
            f"the receipt is of {notice.amount_fen} fen, {total_fen} are due: send pending, and pay that in one payment"
        )
    else:
        return None
    return Refusal(409, "receipt-unusable", "/receipt", why)


def _mismatch(notice: Notice, order: Order | None, now: datetime) -> str:
    if order is None:
        return Mismatch.UNKNOWN_ORDER
    if notice.currency != CURRENCY:
        return Mismatch.OTHER_CURRENCY
    # the order refuses only another amount than its total
    return Mismatch.OTHER_AMOUNT if decide(order, notice.paid, now).refused else ""
