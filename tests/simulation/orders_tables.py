"""The tables of orders in memory: what stands in for each function of its repository."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from contracts.events.catalog import CatalogEvent
from contracts.events.inventory import AllotmentEvent
from services.orders.api import order as api_orders
from services.orders.commands import place_orders as api_intake
from services.orders.domain.catalog import Catalog, index
from services.orders.domain.order.order import Order
from services.orders.domain.order.recipient import Recipient
from services.orders.domain.stall import Sale, Stall
from services.orders.repository import catalog, order_intake, order_rows, projections, stall
from services.orders.repository import order as orders
from tests.simulation.memory import Reader, Transaction

KEYS = {"order_history": 2, "order_note": 2, "payment": 2, "refund": 2, "recipient": 1, "campaign_verdict": 1}
"""Tables whose rows are only written here, and how many columns make the key."""


async def insert_rows(
    conn: Transaction, table: str, columns: Mapping[str, str], found: Sequence[Sequence[Any]], _tail: str = ""
) -> list[Any]:
    if found:
        await conn.statement()
        for row in found:
            conn.insert(table, tuple(row[: KEYS[table]]), dict(zip(columns, row, strict=True)))
    return []


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
    """As PostgreSQL gives it back: instants have forgotten their offset."""
    terms = order.terms
    plain = {name: getattr(terms, name).astimezone(UTC) for name in ("due_by", "closes_at", "placed_at")}
    return replace(order, terms=replace(terms, **plain))


async def insert_details(
    conn: Transaction,
    found: Sequence[Order],
    people: Mapping[UUID, Recipient],
    causes: Mapping[UUID, str],
    now: datetime,
) -> None:
    history = [(o.id, o.version, None, o.state, "accepted", causes[o.id], "", now) for o in found]
    await insert_rows(conn, "order_history", order_rows.HISTORY, history)
    money = [(o.id, m.payment, m.amount_fen, now) for o in found for m in o.money]
    await insert_rows(conn, "payment", order_rows.MONEY, money)
    persons = [(id, p.name, p.phone, p.address, p.lat, p.lon) for id, p in people.items()]
    await insert_rows(conn, "recipient", order_rows.RECIPIENT, persons)


async def keep_conflicts(
    conn: Transaction, conflicts: Collection[tuple[UUID, bytes, dict[str, Any]]], _now: datetime
) -> None:
    for order, digest, body in conflicts:
        conn.put("order_conflict", (order, digest), body)


async def lock_orders(conn: Transaction, _table: str, ids: Sequence[UUID], *, column: str) -> list[UUID]:
    assert column == "order_id"
    await conn.statement()
    known = [id for id in ids if conn.get("orders", id)]
    await conn.lock_all("orders", known)
    return known


async def whole_orders(conn: Transaction, heads: Sequence[UUID]) -> list[Order]:
    return [conn.get("orders", id)[0] for id in heads]


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


async def sold_out_in(conn: Reader, pool: str) -> list[str]:
    return sorted(item for (where, item), closed in conn.rows("item_sold_out").items() if where == pool and closed)  # type: ignore[misc]


async def allotment_of(conn: Reader, terminal: str, pool: str) -> list[dict[str, Any]]:
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


async def put_entity(conn: Transaction, kind: str, entity: CatalogEvent, _now: datetime) -> tuple[bool, int]:
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
    (order_rows, "insert", insert_rows),
    (order_intake, "insert_orders", insert_orders),
    (order_intake, "insert_details", insert_details),
    (order_intake, "keep_conflicts", keep_conflicts),
    (orders, "lock_rows", lock_orders),
    (orders, "_whole", whole_orders),
    (api_intake, "find", find_orders),
    (api_orders, "find", find_orders),
    (orders, "_update", update_orders),
    (orders, "save_allotments", save_allotments),
    (orders, "save_sold_out", save_sold_out),
    (projections, "allotment_of", allotment_of),
    (projections, "sold_out_in", sold_out_in),
    (catalog, "put", put_entity),
    (catalog.CatalogCache, "current", current_catalog),
    (stall, "lock_terminal", lock_terminal),
    (stall, "load_stall", load_stall),
    (stall, "save_stall", save_stall),
    (stall, "bind_device", bind_device),
)
