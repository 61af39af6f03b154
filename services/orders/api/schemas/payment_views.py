"""The response models of payments."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from typing_extensions import TypedDict

from contracts.values import Fen
from services.orders.domain.payment import ReceiptState


class OtherContent(TypedDict):
    """Another content under the transaction of a receipt, and how often it came; it has no effect."""

    order_id: UUID
    amount_fen: Fen
    currency: str
    paid_at: datetime
    received_at: datetime
    seen: int


class ReceiptView(TypedDict):
    """Money that a provider received for the order `order_id`. `pays`: the order or join that takes it, null for an
    unmatched one. `given_back`: that did not need it, and refunded it.
    """

    n: int
    provider: str
    transaction_id: str
    order_id: UUID
    amount_fen: Fen
    currency: str
    paid_at: datetime
    received_at: datetime
    pays: UUID | None
    state: ReceiptState
    reason: str
    given_back: bool
    others: list[OtherContent]


class ReceiptPage(TypedDict):
    """A page of receipts."""

    items: list[ReceiptView]
    next: int | None
