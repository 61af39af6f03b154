"""The tables of orders in memory: a replacement for each function of its repository."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from contracts.events.catalog import CatalogEvent
from contracts.events.inventory import AllotmentEvent
from services.orders.domain.catalog import Catalog, index
from services.orders.domain.order.order import Order
from services.orders.domain.order.recipient import Recipient
from services.orders.domain.stall import Sale, Stall
from services.orders.repository import catalog, queries, rows, stall, statements
from services.orders.repository import order as orders
from tests.simulation.memory import Reader, Transaction

TABLES: dict[str, tuple[str, tuple[str, ...]]] = {
    statements.STEPS: ("order_history", ("order_id", "n")),
    statements.NOTES: ("order_note", ("order_id", "n")),
    statements.PAYMENTS: ("payment", ("order_id", "payment_id")),
    statements.REFUNDS: ("refund", ("order_id", "payment_id")),
    statements.VERDICTS: ("campaign_verdict", ("campaign_id",)),
}
"""The statements that write rows which are only inserted, with the table and key of each."""


async def write(conn: Transaction, statement: str, found: Sequence[Any]) -> list[Any]:
    if found:
        await conn.statement()
        table, key = TABLES[statement]
        insert(conn, table, key, found)
    return []


def insert(conn: Transaction, table: str, key: tuple[str, ...], found: Sequence[Any]) -> None:
    for row in found:
        conn.insert(table, tuple(row[name] for name in key), row)


async def insert_orders(conn: Transaction, found: Sequence[Order], hashes: Mapping[UUID, bytes]) -> set[UUID]:
    await conn.statement()
    new = set()
    for order in sorted(found, key=lambda order: order.id):
        await conn.lock("orders", order.id)
        if conn.get("orders", order.id) is None:
            conn.put("orders", order.id, (_stored(order), hashes[order.id]))
            new.add(order.id)
    return new


def _stored(order: Order) -> Order:
    """Return the order as PostgreSQL returns it: instants in UTC."""
    terms = order.terms
    plain = {name: getattr(terms, name).astimezone(UTC) for name in ("due_by", "closes_at", "placed_at")}
    return replace(order, terms=replace(terms, **plain))


async def insert_details(
    conn: Transaction,
    found: Sequence[Order],
    recipients: Mapping[UUID, Recipient],
    causes: Mapping[UUID, str],
    now: datetime,
) -> None:
    if not found:
        return
    await conn.statement()
    history = [rows.step_row(order, None, "accepted", causes[order.id], now) for order in found]
    insert(conn, "order_history", ("order_id", "n"), history)
    money = [rows.money_row(order.id, money, now) for order in found for money in order.money]
    insert(conn, "payment", ("order_id", "payment_id"), money)
    insert(conn, "recipient", ("order_id",), [rows.recipient_row(order.id, recipients[order.id]) for order in found])


async def record_conflicts(
    conn: Transaction, conflicts: Collection[tuple[UUID, bytes, dict[str, Any]]], _now: datetime
) -> None:
    for order, digest, body in conflicts:
        conn.put("order_conflict", (order, digest), body)


async def lock_orders(conn: Transaction, ids: Collection[UUID]) -> list[Order]:
    if not ids:
        return []
    await conn.statement()
    known = [id for id in sorted(ids) if conn.get("orders", id)]
    await conn.lock_all("orders", known)
    return [conn.get("orders", id)[0] for id in known]


async def find_orders(conn: Reader, ids: Collection[UUID]) -> dict[UUID, tuple[Order, bytes]]:
    await conn.statement()
    return {id: row for id in ids if (row := conn.get("orders", id))}


async def update_orders(conn: Transaction, found: Sequence[Order]) -> None:
    await conn.statement()
    for order in found:
        assert 0 <= order.refunded_fen <= order.paid_fen, "the table's check on money"
        conn.put("orders", order.id, (order, conn.get("orders", order.id)[1]))


async def save_allotments(conn: Transaction, found: Mapping[tuple[str, str, str], AllotmentEvent]) -> None:
    for key, event in sorted(found.items()):
        await conn.lock("terminal_allotment", key)
        known = conn.get("terminal_allotment", key)
        if known is None or known.version < event.version:
            conn.put("terminal_allotment", key, event)


async def save_sold_out(conn: Transaction, sold_out: Mapping[tuple[str, str], bool]) -> None:
    for key, value in sorted(sold_out.items()):
        await conn.lock("item_sold_out", key)
        conn.put("item_sold_out", key, value)


async def sold_out_items(conn: Reader, pool: str) -> list[str]:
    return sorted(item for (where, item), closed in conn.rows("item_sold_out").items() if where == pool and closed)  # type: ignore[misc]


async def allotments(conn: Reader, terminal: str, pool: str) -> list[dict[str, Any]]:
    await conn.statement()
    sold: dict[str, int] = defaultdict(int)
    for sale, upload in conn.rows("stall_sale").items():
        if (upload.terminal, upload.pool) == (terminal, pool) and not conn.get("stall_void", sale):
            for line in upload.body.lines:
                sold[line.item] += line.quantity
    lent = {k[2]: event for k, event in conn.rows("terminal_allotment").items() if k[:2] == (terminal, pool)}  # type: ignore[index]
    return [
        {
            "item": item,
            "granted_total": lent[item].granted_total if item in lent else 0,
            "returned_total": lent[item].returned_total if item in lent else 0,
            "version": lent[item].version if item in lent else 0,
            "lease_until": lent[item].lease_until if item in lent else None,
            "sold_total": sold.get(item, 0),
        }
        for item in sorted(lent.keys() | sold.keys())
    ]


async def upsert_entity(conn: Transaction, kind: str, entity: CatalogEvent, _now: datetime) -> tuple[bool, int]:
    await conn.statement()
    await conn.lock("catalog", (kind, entity.id))
    known, version = conn.get("catalog", (kind, entity.id)) or (None, 0)
    if known == entity:
        return False, version
    conn.put("catalog", (kind, entity.id), (entity, version + 1))
    await conn.lock("catalog_version", 0)
    conn.put("catalog_version", 0, (conn.get("catalog_version", 0) or 0) + 1)
    return True, version + 1


async def current_catalog(self: Any, conn: Reader) -> Catalog:
    await conn.statement()
    version = conn.get("catalog_version", 0) or 0
    if self._known is None or self._known.version != version:
        self._known = index(version, [entity for entity, _ in conn.rows("catalog").values()])
    closed = frozenset(key for key, sold_out in conn.rows("item_sold_out").items() if sold_out)
    return replace(self._known, sold_out=closed)  # type: ignore[no-any-return,type-var]


async def lock_terminal(conn: Transaction, terminal: str) -> dict[str, Any] | None:
    await conn.statement()
    await conn.lock("catalog", ("terminals", terminal))
    found = conn.get("catalog", ("terminals", terminal))
    return found[0].model_dump(mode="json") if found else None


async def load_stall(conn: Transaction, terminal: str, sales: Collection[UUID]) -> Stall:
    await conn.statement()
    sessions: Any = conn.rows("stall_session").items()
    return Stall(
        sales={sale: row for sale in sales if (row := conn.get("stall_sale", sale))},
        voids={sale: row for sale in sales if (row := conn.get("stall_void", sale))},
        sessions={key: row for (whose, key), row in sessions if whose == terminal},
    )


async def save_stall(conn: Transaction, terminal: str, before: Stall, after: Stall, _now: datetime) -> None:
    await conn.statement()
    for sale, upload in sorted(after.sales.items()):
        if sale not in before.sales:
            assert isinstance(upload.body, Sale)
            conn.insert("stall_sale", sale, upload)
    for sale, upload in sorted(after.voids.items()):
        if sale not in before.voids:
            conn.insert("stall_void", sale, replace(upload))
    for key, session in sorted(after.sessions.items()):
        if before.sessions.get(key) != session:
            conn.put("stall_session", (terminal, key), session)


async def bind_device(conn: Transaction, terminal: str, device: str) -> tuple[str | None, bool]:
    await conn.statement()
    active = conn.get("terminal_device", terminal) or device
    conn.put("terminal_device", terminal, active)
    return active, False


SEAMS: tuple[tuple[Any, str, Any], ...] = (
    (statements, "write", write),
    (orders, "insert_orders", insert_orders),
    (orders, "insert_details", insert_details),
    (orders, "record_conflicts", record_conflicts),
    (orders, "lock_orders", lock_orders),
    (orders, "find", find_orders),
    (orders, "update_orders", update_orders),
    (queries, "allotments", allotments),
    (queries, "sold_out_items", sold_out_items),
    (catalog, "upsert", upsert_entity),
    (catalog, "save_sold_out", save_sold_out),
    (catalog.CatalogCache, "current", current_catalog),
    (stall, "lock_terminal", lock_terminal),
    (stall, "load_stall", load_stall),
    (stall, "save_stall", save_stall),
    (stall, "save_allotments", save_allotments),
    (stall, "bind_device", bind_device),
)
