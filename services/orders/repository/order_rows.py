"""An order as rows and back. The columns of a table stand here once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import asyncpg

from contracts.events.dispatch import Quote
from contracts.events.orders import OrderLine
from contracts.values import Channel, Fulfilment, Payment, Unit
from services.orders.domain.order.order import Awaiting, Money, Order, OrderState, Terms

TERMS = {
    "order_id": "uuid",
    "channel": "text",
    "market_day": "text",
    "community": "text",
    "pool": "text",
    "fulfilment": "text",
    "point": "text",
    "payment": "text",
    "total_fen": "bigint",
    "basket_id": "uuid",
    "quote": "jsonb",
    "code": "text",
    "hold_ttl_s": "integer",
    "due_by": "timestamptz",
    "closes_at": "timestamptz",
    "placed_at": "timestamptz",
    "campaign_id": "uuid",
    "join_id": "uuid",
}
STANDING = {
    "state": "text",
    "attempt": "integer",
    "awaiting": "text",
    "reason": "text",
    "reservation": "uuid",
    "job": "uuid",
    "hold_until": "timestamptz",
    "wave": "text",
    "slot_from": "timestamptz",
    "slot_until": "timestamptz",
    "as_promised": "boolean",
    "paid_fen": "bigint",
    "refunded_fen": "bigint",
    "version": "integer",
}
LINE = {
    "order_id": "uuid",
    "line": "integer",
    "item": "text",
    "quantity": "bigint",
    "unit": "text",
    "price_fen": "bigint",
    "price_id": "text",
    "amount_fen": "bigint",
}
HISTORY = {
    "order_id": "uuid",
    "n": "integer",
    "from_state": "text",
    "to_state": "text",
    "message": "text",
    "cause": "text",
    "reason": "text",
    "at": "timestamptz",
}
NOTE = {"order_id": "uuid", "n": "integer", "note": "text"}
MONEY = {"order_id": "uuid", "payment_id": "text", "amount_fen": "bigint", "at": "timestamptz"}
RECIPIENT = {
    "order_id": "uuid",
    "name": "text",
    "phone": "text",
    "address": "text",
    "lat": "double precision",
    "lon": "double precision",
}

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | Any"


def unnest(columns: Mapping[str, str], first: int = 1) -> str:
    """`unnest($1::type[], ...)` with one array parameter for each column, in order, from `$first` on."""
    return f"unnest({', '.join(f'${n}::{kind}[]' for n, kind in enumerate(columns.values(), first))})"


async def insert(
    conn: Connection, table: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]], tail: str = ""
) -> list[asyncpg.Record]:
    """Inserts all rows in one statement, in the order given; `tail` is what follows it, such as a RETURNING."""
    if not rows:
        return []
    names = ", ".join(columns)
    statement = f"insert into {table} ({names}) select * from {unnest(columns)} {tail}"  # noqa: S608
    found: list[asyncpg.Record] = await conn.fetch(statement, *map(list, zip(*rows, strict=True)))
    return found


Part: TypeAlias = tuple[str, Mapping[str, str], Sequence[Sequence[Any]]]
"""A table, its columns, and rows for it."""


async def insert_all(conn: Connection, parts: Iterable[Part]) -> None:
    """Inserts rows into several tables, none of which depends on another of them, in one statement: where groups are
    small, round trips are what an order costs.
    """
    inserts: list[str] = []
    arrays: list[list[Any]] = []
    for table, columns, rows in parts:
        if rows:
            source = unnest(columns, len(arrays) + 1)
            inserts.append(f"{table}_in as (insert into {table} ({', '.join(columns)}) select * from {source})")  # noqa: S608
            arrays += map(list, zip(*rows, strict=True))
    if inserts:
        await conn.execute(f"with {', '.join(inserts)} select", *arrays)


def terms_row(terms: Terms) -> tuple[Any, ...]:
    """The values of the columns `TERMS`."""
    return (
        terms.order,
        terms.channel,
        terms.market_day,
        terms.community,
        terms.pool,
        terms.fulfilment,
        terms.point,
        terms.payment,
        terms.total_fen,
        terms.basket,
        terms.quote.model_dump_json() if terms.quote else None,
        terms.code,
        terms.hold_ttl_s,
        terms.due_by,
        terms.closes_at,
        terms.placed_at,
        terms.campaign,
        terms.join,
    )


def standing_row(order: Order) -> tuple[Any, ...]:
    """The values of the columns `STANDING`."""
    return (
        order.state,
        order.attempt,
        order.awaiting,
        order.reason,
        order.reservation,
        order.job,
        order.hold_until,
        order.wave,
        order.slot_from,
        order.slot_until,
        order.as_promised,
        order.paid_fen,
        order.refunded_fen,
        order.version,
    )


def line_rows(terms: Terms) -> list[tuple[Any, ...]]:
    """The values of the columns `LINE`, a row for each line."""
    return [
        (terms.order, one.line, one.item, one.quantity, one.unit, one.price_fen, one.price, one.amount_fen)
        for one in terms.lines
    ]


def terms_of(row: asyncpg.Record, lines: Iterable[OrderLine]) -> Terms:
    """The terms that the columns `TERMS` of a row are."""
    return Terms(
        order=row["order_id"],
        channel=Channel(row["channel"]),
        market_day=row["market_day"],
        community=row["community"],
        pool=row["pool"],
        lines=tuple(lines),
        fulfilment=Fulfilment(row["fulfilment"]),
        payment=Payment(row["payment"]),
        code=row["code"],
        due_by=row["due_by"],
        closes_at=row["closes_at"],
        placed_at=row["placed_at"],
        point=row["point"],
        quote=Quote.model_validate_json(row["quote"]) if row["quote"] else None,
        basket=row["basket_id"],
        hold_ttl_s=row["hold_ttl_s"],
        campaign=row["campaign_id"],
        join=row["join_id"],
    )


def order_of(row: asyncpg.Record, lines: Iterable[asyncpg.Record], money: Iterable[asyncpg.Record]) -> Order:
    """The order that these rows are."""
    return Order(
        terms_of(row, map(_line, lines)),
        state=OrderState(row["state"]),
        attempt=row["attempt"],
        version=row["version"],
        awaiting=Awaiting(row["awaiting"]),
        reason=row["reason"],
        hold_until=row["hold_until"],
        wave=row["wave"],
        slot_from=row["slot_from"],
        slot_until=row["slot_until"],
        as_promised=row["as_promised"],
        money=tuple(Money(one["payment_id"], one["amount_fen"], one["refunded"]) for one in money),
    )


def _line(row: asyncpg.Record) -> OrderLine:
    # Validated once more, which is quicker than `model_construct`.
    return OrderLine(
        line=row["line"],
        item=row["item"],
        quantity=row["quantity"],
        unit=Unit(row["unit"]),
        price_fen=row["price_fen"],
        price=row["price_id"],
        amount_fen=row["amount_fen"],
    )
