"""Loads and saves orders, and what belongs to one: lines, history, money, recipient, wrong codes, erasure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from services.kit.database import lock_rows
from services.kit.transaction.identity_map import IdentityMap
from services.orders.domain.order.order import Order
from services.orders.domain.order.recipient import Recipient
from services.orders.repository import rows, statements
from services.orders.repository.statements import Connection

_WRONG_CODE = """
insert into code_try ("order", n, since) values ($1, 1, $2) on conflict ("order") do update set
  n = case when code_try.since > $2 - interval '1 hour' then code_try.n + 1 else 1 end,
  since = case when code_try.since > $2 - interval '1 hour' then code_try.since else $2 end
returning n
"""


class OrderRepository:
    """The orders of one transaction, locked: `load` them, `record` steps in memory, then `save`."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._orders = IdentityMap[UUID, Order](lambda order: order.id)
        self._steps: list[rows.Row] = []
        self._notes: list[rows.Row] = []

    async def load(self, ids: Collection[UUID]) -> set[UUID]:
        """Lock these orders in order of id, then read their lines and money. Return the ids of those that exist."""
        self._orders.load(await lock_orders(self._conn, ids))
        return set(self._orders)

    def get(self, id: UUID) -> Order | None:
        """Return the order as it is now, None for one that was not loaded."""
        return self._orders.get(id)

    def record(self, order: Order, message: str, cause: str, at: datetime, note: str = "") -> None:
        """Replace an order by its state after a step. `message` is the type of what led to it, `cause` its id."""
        self._steps.append(rows.step_row(order, self._orders[order.id].state, message, cause, at))
        if note:
            self._notes.append({"order_id": order.id, "n": order.version, "note": note})
        self._orders.put(order)

    async def save(self, now: datetime) -> None:
        """Write every change, one statement for each table that has any."""
        changed = sorted(self._orders.changed, key=lambda order: order.id)
        if not changed:
            return
        await update_orders(self._conn, changed)
        await statements.write(self._conn, statements.STEPS, self._steps)
        await statements.write(self._conn, statements.NOTES, self._notes)
        paid, refunded = self._money(changed, now)
        await statements.write(self._conn, statements.PAYMENTS, paid)
        await statements.write(self._conn, statements.REFUNDS, refunded)

    def _money(self, changed: Iterable[Order], now: datetime) -> tuple[list[rows.Row], list[rows.Row]]:
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


async def lock_orders(conn: Connection, ids: Collection[UUID]) -> list[Order]:
    """Lock these orders in order of id and read them: three statements, however many there are. Unknown ids are left
    out.
    """
    if not ids:
        return []
    return await _with_details(conn, await lock_rows(conn, "orders", sorted(ids), column="order_id"))


async def find(conn: Connection, ids: Collection[UUID]) -> dict[UUID, tuple[Order, bytes]]:
    """Read these orders without locks, each with the digest of its request. Unknown ids are left out."""
    heads = await conn.fetch("select * from orders where order_id = any($1::uuid[]) order by order_id", list(ids))
    orders = await _with_details(conn, heads)
    return {order.id: (order, head["body_hash"]) for order, head in zip(orders, heads, strict=True)}


async def _with_details(conn: Connection, heads: Sequence[asyncpg.Record]) -> list[Order]:
    if not heads:
        return []
    ids = [head["order_id"] for head in heads]
    lines: dict[UUID, list[asyncpg.Record]] = defaultdict(list)
    for row in await conn.fetch(
        "select * from order_line where order_id = any($1::uuid[]) order by order_id, line", ids
    ):
        lines[row["order_id"]].append(row)
    money: dict[UUID, list[asyncpg.Record]] = defaultdict(list)
    for row in await conn.fetch(
        "select p.order_id, p.payment_id, p.amount_fen, r.order_id is not null as refunded "
        "from payment p left join refund r using (order_id, payment_id) "
        "where p.order_id = any($1::uuid[]) order by p.order_id, p.at, p.payment_id",
        ids,
    ):
        money[row["order_id"]].append(row)
    return [rows.order_of(head, lines[head["order_id"]], money[head["order_id"]]) for head in heads]


async def update_orders(conn: Connection, orders: Sequence[Order]) -> None:
    """Write the state of these orders."""
    await statements.write(conn, statements.ORDER_STATES, [rows.state_row(order) for order in orders])


async def insert_orders(conn: Connection, orders: Iterable[Order], digests: Mapping[UUID, bytes]) -> set[UUID]:
    """Insert head rows in order of id and return which are new; an id that is taken changes nothing.

    Waits for a concurrent transaction that inserts one of the ids.
    """
    heads = [
        rows.terms_row(order.terms) | rows.state_row(order) | {"body_hash": digests[order.id]}
        for order in sorted(orders, key=lambda order: order.id)
    ]
    return {row["order_id"] for row in await statements.write(conn, statements.ORDERS, heads)}


async def insert_details(
    conn: Connection,
    orders: Sequence[Order],
    recipients: Mapping[UUID, Recipient],
    causes: Mapping[UUID, str],
    now: datetime,
) -> None:
    """Insert the details of new orders in one statement: lines, the first step, payments and recipients.

    Where groups are small, round trips are most of the cost of an order.
    """
    if not orders:
        return
    details = (
        [row for order in orders for row in rows.line_rows(order.terms)],
        [rows.step_row(order, None, "accepted", causes[order.id], now) for order in orders],
        [rows.money_row(order.id, money, now) for order in orders for money in order.money],
        [rows.recipient_row(order.id, recipients[order.id]) for order in orders],
    )
    await conn.execute(statements.ORDER_DETAILS, *map(statements.packed, details))


async def record_conflicts(
    conn: Connection, conflicts: Iterable[tuple[UUID, bytes, Mapping[str, Any]]], now: datetime
) -> None:
    """Store other contents under the ids of accepted orders (id, digest, content without the recipient), each once."""
    found = [{"order_id": id, "body_hash": digest, "body": body, "at": now} for id, digest, body in conflicts]
    await statements.write(conn, statements.ORDER_CONFLICTS, found)


async def count_wrong_codes(conn: Connection, order: UUID, now: datetime) -> int:
    """Return the number of wrong codes within an hour of the first; `now` is real time. Call it under the order's
    lock.
    """
    statement = "select n from code_try where \"order\" = $1 and since > $2::timestamptz - interval '1 hour'"
    found = await conn.fetchval(statement, order, now)
    return found or 0


async def add_wrong_code(conn: Connection, order: UUID, now: datetime) -> int:
    """Count one more wrong code and return their number. Call it under the order's lock."""
    found: int = await conn.fetchval(_WRONG_CODE, order, now)
    return found


async def erase_person(conn: Connection, order: UUID, by: str, why: str) -> None:
    """Delete the recipient of an order that is locked, its code and its notes; record when, by which role and why.

    Idempotent: the first record stays.
    """
    await conn.execute(
        "insert into erased (order_id, erased_by, why) values ($1, $2, $3) on conflict do nothing", order, by, why
    )
    await conn.execute("delete from recipient where order_id = $1", order)
    await conn.execute("delete from campaign_person where order_id = $1", order)
    await conn.execute("delete from order_note where order_id = $1", order)
    await conn.execute("update orders set code = '' where order_id = $1 and code <> ''", order)
    await conn.execute("update campaign_join set code = '' where order_id = $1 and code <> ''", order)
