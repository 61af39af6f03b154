"""Accepting orders in groups: all of a group in a constant number of statements."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from services.orders.domain.order.order import Order
from services.orders.domain.order.recipient import Recipient
from services.orders.repository import order_rows


async def insert_orders(
    conn: order_rows.Connection, orders: Sequence[Order], hashes: Mapping[UUID, bytes]
) -> set[UUID]:
    """Inserts head rows in order of id and returns which are new; an id that is taken changes nothing.

    Waits for a concurrent transaction that inserts one of the ids.
    """
    columns = {**order_rows.TERMS, **order_rows.STANDING, "body_hash": "bytea"}
    ordered = sorted(orders, key=lambda order: order.id)
    values = [(*order_rows.terms_row(o.terms), *order_rows.standing_row(o), hashes[o.id]) for o in ordered]
    tail = "on conflict (order_id) do nothing returning order_id"
    return {row["order_id"] for row in await order_rows.insert(conn, "orders", columns, values, tail)}


async def insert_details(
    conn: order_rows.Connection,
    orders: Sequence[Order],
    people: Mapping[UUID, Recipient],
    causes: Mapping[UUID, str],
    now: datetime,
) -> None:
    """What hangs on new orders: lines, the first step of their history, money that came with them, the person."""
    lines = [row for order in orders for row in order_rows.line_rows(order.terms)]
    history = [(o.id, o.version, None, o.state, "accepted", causes[o.id], "", now) for o in orders]
    money = [(o.id, m.payment, m.amount_fen, now) for o in orders for m in o.money]
    found = [(id, p.name, p.phone, p.address, p.lat, p.lon) for id, p in people.items()]
    await order_rows.insert_all(
        conn,
        [
            ("order_line", order_rows.LINE, lines),
            ("order_history", order_rows.HISTORY, history),
            ("payment", order_rows.MONEY, money),
            ("recipient", order_rows.RECIPIENT, found),
        ],
    )


async def keep_conflicts(
    conn: order_rows.Connection, conflicts: Collection[tuple[UUID, bytes, dict[str, Any]]], now: datetime
) -> None:
    """Keeps other contents that came under the ids of accepted orders; each content once, without its person."""
    columns = {"order_id": "uuid", "body_hash": "bytea", "body": "jsonb", "at": "timestamptz"}
    found = [(order, digest, orjson.dumps(body).decode(), now) for order, digest, body in conflicts]
    await order_rows.insert(conn, "order_conflict", columns, found, "on conflict do nothing")
