"""Orders in PostgreSQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID
from zlib import crc32

import asyncpg

from services.kit.database import lock_rows
from services.orders.domain.order.order import Order
from services.orders.domain.order.recipient import Recipient
from services.orders.repository import rows, statements
from services.orders.repository.rows import Cause, Conflict, Row
from services.orders.repository.statements import Connection
from services.orders.repository.store import OrderStore

_HOLD_LOCK = 114
"""The first key of the advisory locks on holders; no other lock of this database uses it."""
_WRONG_CODE = """
insert into code_try ("order", n, since) values ($1, 1, $2) on conflict ("order") do update set
  n = case when code_try.since > $2 - interval '1 hour' then code_try.n + 1 else 1 end,
  since = case when code_try.since > $2 - interval '1 hour' then code_try.since else $2 end
returning n
"""


class PostgresOrders(OrderStore):
    """The tables of orders."""

    _conn: Connection

    async def lock_orders(self, ids: Collection[UUID]) -> list[Order]:
        if not ids:
            return []
        return await self._with_details(await lock_rows(self._conn, "orders", sorted(ids), column="order_id"))

    async def find_orders(self, ids: Collection[UUID]) -> dict[UUID, tuple[Order, bytes]]:
        statement = "select * from orders where order_id = any($1::uuid[]) order by order_id"
        heads = await self._conn.fetch(statement, list(ids))
        orders = await self._with_details(heads)
        return {order.id: (order, head["body_hash"]) for order, head in zip(orders, heads, strict=True)}

    async def _with_details(self, heads: Sequence[asyncpg.Record]) -> list[Order]:
        if not heads:
            return []
        ids = [head["order_id"] for head in heads]
        lines: dict[UUID, list[asyncpg.Record]] = defaultdict(list)
        for row in await self._conn.fetch(
            "select * from order_line where order_id = any($1::uuid[]) order by order_id, line", ids
        ):
            lines[row["order_id"]].append(row)
        money: dict[UUID, list[asyncpg.Record]] = defaultdict(list)
        for row in await self._conn.fetch(
            "select p.order_id, p.payment_id, p.amount_fen, r.order_id is not null as refunded "
            "from payment p left join refund r using (order_id, payment_id) "
            "where p.order_id = any($1::uuid[]) order by p.order_id, p.at, p.payment_id",
            ids,
        ):
            money[row["order_id"]].append(row)
        return [rows.order_of(head, lines[head["order_id"]], money[head["order_id"]]) for head in heads]

    async def insert_orders(self, orders: Iterable[Order], digests: Mapping[UUID, bytes]) -> set[UUID]:
        heads = [
            rows.terms_row(order.terms) | rows.state_row(order) | {"body_hash": digests[order.id]}
            for order in sorted(orders, key=lambda order: order.id)
        ]
        return {row["order_id"] for row in await statements.write(self._conn, statements.ORDERS, heads)}

    async def insert_details(
        self,
        orders: Sequence[Order],
        recipients: Mapping[UUID, Recipient],
        causes: Mapping[UUID, Cause],
        now: datetime,
    ) -> None:
        if not orders:
            return
        details = (
            [row for order in orders for row in rows.line_rows(order.terms)],
            [rows.step_row(order, None, "accepted", causes[order.id], now) for order in orders],
            [rows.money_row(order.id, money, now) for order in orders for money in order.money],
            [rows.recipient_row(order.id, recipients[order.id]) for order in orders],
        )
        await self._conn.execute(statements.ORDER_DETAILS, *map(statements.packed, details))

    async def save_orders(
        self,
        orders: Sequence[Order],
        steps: Sequence[Row],
        notes: Sequence[Row],
        payments: Sequence[Row],
        refunds: Sequence[Row],
    ) -> None:
        await statements.write(self._conn, statements.ORDER_STATES, [rows.state_row(order) for order in orders])
        await statements.write(self._conn, statements.STEPS, steps)
        await statements.write(self._conn, statements.NOTES, notes)
        await statements.write(self._conn, statements.PAYMENTS, payments)
        await statements.write(self._conn, statements.REFUNDS, refunds)

    async def count_holds(self, holders: Collection[str]) -> dict[str, int]:
        if not holders:
            return {}
        # Two holders with the same hash wait for each other, which is no harm. Read in a statement of its own: it then
        # sees what was committed while the locks were awaited.
        locks = "select pg_advisory_xact_lock($1, k) from unnest($2::int[]) as k"
        await self._conn.execute(locks, _HOLD_LOCK, sorted({crc32(one.encode()) - 2**31 for one in holders}))
        found = await self._conn.fetch(
            "select holder, count(*) as n from hold join orders using (order_id) "
            "where holder = any($1::text[]) and state in ('placed', 'held') group by holder",
            list(holders),
        )
        return {row["holder"]: row["n"] for row in found}

    async def insert_holds(self, holds: Sequence[tuple[str, UUID]]) -> None:
        found = [{"holder": holder, "order_id": order} for holder, order in holds]
        await statements.write(self._conn, statements.HOLDS, found)

    async def record_order_conflicts(self, conflicts: Sequence[Conflict], now: datetime) -> None:
        if conflicts:
            statement = "select order_id, body_hash from order_conflict where order_id = any($1::uuid[])"
            stored = await self._conn.fetch(statement, [id for id, _, _ in conflicts])
            found = rows.conflict_rows("order_id", stored, conflicts, now)
            await statements.write(self._conn, statements.ORDER_CONFLICTS, found)

    async def count_wrong_codes(self, order: UUID, now: datetime) -> int:
        statement = "select n from code_try where \"order\" = $1 and since > $2::timestamptz - interval '1 hour'"
        found = await self._conn.fetchval(statement, order, now)
        return found or 0

    async def add_wrong_code(self, order: UUID, now: datetime) -> int:
        found: int = await self._conn.fetchval(_WRONG_CODE, order, now)
        return found

    async def erase_person(self, order: UUID, by: str, why: str) -> dict[str, Any]:
        conn = self._conn
        await conn.execute(
            "insert into erased (order_id, erased_by, why) values ($1, $2, $3) on conflict do nothing", order, by, why
        )
        await conn.execute("delete from recipient where order_id = $1", order)
        await conn.execute("delete from campaign_person where order_id = $1", order)
        await conn.execute("delete from order_note where order_id = $1", order)
        await conn.execute("update orders set code = '' where order_id = $1 and code <> ''", order)
        await conn.execute("update campaign_join set code = '' where order_id = $1 and code <> ''", order)
        await conn.execute(statements.FORGET, [order], False)
        row = await conn.fetchrow("select order_id, erased_at, erased_by, why from erased where order_id = $1", order)
        assert row is not None  # written above, or before
        return dict(row)


async def prune_holds(conn: Connection, limit: int = 5_000) -> int:
    """Delete up to `limit` holds of orders that are paid or ended; return how many."""
    done: str = await conn.execute(
        "delete from hold where (holder, order_id) in (select holder, order_id from hold join orders using (order_id) "
        "where state not in ('placed', 'held') limit $1)",
        limit,
    )
    return int(done.split()[-1])
