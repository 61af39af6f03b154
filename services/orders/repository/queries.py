"""What pages and lists of orders read; nothing here locks."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from services.orders.repository.order_rows import Connection


async def history(conn: Connection, order: UUID, *, notes: bool) -> list[dict[str, Any]]:
    """Every step of an order, in order, with what was noted at it where that is wanted; empty for an unknown one."""
    found = await conn.fetch(
        "select n, from_state, to_state, message, cause, reason, at, note from order_history "
        "left join order_note using (order_id, n) where order_id = $1 order by n",
        order,
    )
    return [{name: value for name, value in row.items() if notes or name != "note"} for row in found]


async def page(
    conn: Connection, state: str | None, market_day: str | None, after: UUID, limit: int
) -> list[dict[str, Any]]:
    """Up to `limit` orders with ids beyond `after`, in order of id, of a state and a market day where given."""
    found = await conn.fetch(
        "select order_id, state, version, channel, market_day, community, pool, fulfilment, payment, total_fen, "
        "paid_fen, refunded_fen, reason, wave, placed_at from orders where order_id > $1 "
        "and ($2::text is null or state = $2) and ($3::text is null or market_day = $3) order by order_id limit $4",
        after,
        state,
        market_day,
        limit,
    )
    return [dict(row) for row in found]


async def person(conn: Connection, order: UUID) -> dict[str, Any] | None:
    """Who receives an order; None once erased."""
    row = await conn.fetchrow("select name, phone, address, lat, lon from recipient where order_id = $1", order)
    return dict(row) if row else None


async def answered(conn: Connection, orders: Collection[UUID]) -> set[UUID]:
    """Those of these orders that have left `placed`, or do not exist."""
    found = await conn.fetch(
        "select order_id from orders where order_id = any($1::uuid[]) and state = 'placed'", list(orders)
    )
    return set(orders) - {row["order_id"] for row in found}
