"""Counts the unpaid orders of buyers who have a quota, in the transaction that places more of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from services.orders.domain.hold import Quotas, over_quota
from services.orders.domain.order.policy import Refusal
from services.orders.repository.store import OrderStore


class HoldQuota:
    """The quotas of the orders that a transaction places, by order; those without a quota are left out."""

    def __init__(self, store: OrderStore, wanted: Mapping[UUID, Quotas]) -> None:
        self._store, self._wanted = store, wanted

    async def refuse(self) -> dict[UUID, Refusal]:
        """Return the refusals of the orders that exceed a quota. A repeat of a stored order is none of them."""
        held = await self._store.count_holds({holder for quotas in self._wanted.values() for holder, _ in quotas})
        refused = over_quota(self._wanted, held)
        if not refused:
            return {}
        known = await self._store.find_orders(self._wanted)
        return over_quota({id: quotas for id, quotas in self._wanted.items() if id not in known}, held)

    async def count(self, inserted: Iterable[UUID]) -> None:
        """Count these orders from now on."""
        rows = [(holder, id) for id in inserted for holder, _ in self._wanted.get(id, ())]
        await self._store.insert_holds(rows)
