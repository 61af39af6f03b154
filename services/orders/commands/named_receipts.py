"""The receipts that prepaid orders and joins of one transaction name, locked until its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from services.orders.domain.order.policy import Refusal
from services.orders.domain.payment import Receipt, check_receipt
from services.orders.repository.store import PaymentStore


class NamedReceipts:
    """Receipts by their payment, `PROVIDER:TRANSACTION`. Two statements for any number of them, none where no request
    names one.
    """

    def __init__(self, store: PaymentStore, found: Mapping[str, Receipt]) -> None:
        self._store, self._found = store, found

    @classmethod
    async def lock(cls, store: PaymentStore, named: Iterable[str | None]) -> NamedReceipts:
        """Lock the receipts that are named, before the orders: those are new, so no other transaction has them."""
        keys = {(provider, transaction) for provider, _, transaction in (one.partition(":") for one in named if one)}
        found = await store.lock_receipts(keys)
        return cls(store, {receipt.notice.payment: receipt for receipt in found.values()})

    def refusal(self, named: str | None, id: UUID, total_fen: int) -> Refusal | None:
        """Return the reason against an order or join that names a receipt; None where it may, or names none."""
        return check_receipt(self._found.get(named), id, total_fen) if named else None

    async def use(self, paid: Mapping[str | None, tuple[UUID, int]]) -> None:
        """Store which order or join, with its total, each receipt pays; requests without one are left out."""
        await self._store.save_receipts([self._found[one].used_for(*paid[one]) for one in paid if one])
