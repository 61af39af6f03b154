"""Erasing the person of an order: what stays is that it was done, when, by whom and why."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from contracts.events.orders import RecipientPut
from services.kit.transaction import erasure
from services.kit.transaction.unit_of_work import UnitOfWork
from services.orders.domain.order.order import Order
from services.orders.repository.order_rows import Connection

_ERASED = "select order_id, erased_at, erased_by, why from erased"


async def erase(uow: UnitOfWork, order: Order, by: str, why: str) -> dict[str, Any]:
    """Forgets who received an order that is locked, and all that was written beside its steps; tells dispatch to.

    Once more changes nothing and gives the first answer.
    """
    conn = uow.conn
    await conn.execute(
        "insert into erased (order_id, erased_by, why) values ($1, $2, $3) on conflict do nothing", order.id, by, why
    )
    await conn.execute("delete from recipient where order_id = $1", order.id)
    await conn.execute("delete from campaign_person where order_id = $1", order.id)
    await conn.execute("delete from order_note where order_id = $1", order.id)
    await conn.execute("update orders set code = '' where order_id = $1 and code <> ''", order.id)
    await conn.execute("update campaign_join set code = '' where order_id = $1 and code <> ''", order.id)
    if order.terms.is_delivery and order.terms.code:  # a code that is blank was erased before
        await erasure.forget(conn, RecipientPut.TOPIC, [str(order.id)])
        uow.erase(RecipientPut.TOPIC, str(order.id))
    return dict(await conn.fetchrow(f"{_ERASED} where order_id = $1", order.id) or {})


async def page(conn: Connection, after: UUID, limit: int) -> list[dict[str, Any]]:
    """Up to `limit` erasures of orders with ids beyond `after`, in order of id."""
    found = await conn.fetch(f"{_ERASED} where order_id > $1 order by order_id limit $2", after, limit)
    return [dict(row) for row in found]
