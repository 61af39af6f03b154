"""The orders of one transaction: loaded under their locks, changed in memory, saved together."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from services.kit.transaction.identity_map import IdentityMap
from services.orders.domain.order.order import Order
from services.orders.repository import rows
from services.orders.repository.store import OrderStore


class OrderRepository:
    """The orders of one transaction, locked: `load` them, `record` steps in memory, then `save`."""

    def __init__(self, store: OrderStore) -> None:
        self._store = store
        self._orders = IdentityMap[UUID, Order](lambda order: order.id)
        self._steps: list[rows.Row] = []
        self._notes: list[rows.Row] = []

    async def load(self, ids: Collection[UUID]) -> set[UUID]:
        """Lock these orders in order of id, then read their lines and money. Return the ids of those that exist."""
        self._orders.load(await self._store.lock_orders(ids))
        return set(self._orders)

    def get(self, id: UUID) -> Order | None:
        """Return the order as it is now, None for one that was not loaded."""
        return self._orders.get(id)

    def record(self, order: Order, message: str, cause: rows.Cause, at: datetime, note: str = "") -> None:
        """Replace an order by its state after a step. `message` is the type of what led to it."""
        self._steps.append(rows.step_row(order, self._orders[order.id].state, message, cause, at))
        if note:
            self._notes.append({"order_id": order.id, "n": order.version, "note": note})
        self._orders.put(order)

    async def save(self, now: datetime) -> None:
        """Write every change, one statement for each table that has any."""
        changed = sorted(self._orders.changed, key=lambda order: order.id)
        if changed:
            await self._store.save_orders(changed, self._steps, self._notes, *self._money(changed, now))

    def _money(self, changed: Iterable[Order], now: datetime) -> tuple[list[rows.Row], list[rows.Row]]:
        """Return the rows of new payments, and of new refunds."""
        paid, refunded = [], []
        for order in changed:
            loaded = self._orders.loaded(order.id)
            before = {money.payment: money for money in loaded.money} if loaded else {}
            for money in order.money:
                known = before.get(money.payment)
                if known is None:
                    paid.append(rows.money_row(order.id, money, now))
                if money.refunded and not (known and known.refunded):
                    refunded.append(rows.money_row(order.id, money, now))
        return paid, refunded
