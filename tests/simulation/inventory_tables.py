"""The tables of inventory in memory, with their checks: a replacement for each statement of its repository."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from services.inventory.domain.allotment import Allotment
from services.inventory.domain.lot import Lot
from services.inventory.domain.reservation import Reservation, ReservationState
from services.inventory.domain.sale import Sale
from services.inventory.domain.shortfall import Claimant
from services.inventory.domain.stock import Move, Stock
from services.inventory.repository import queries, rows, statements
from services.inventory.repository.load_set import Key
from tests.simulation.memory import Reader, Transaction


def _check(holds: bool, what: str, row: Any) -> None:
    if not holds:
        raise asyncpg.CheckViolationError(f"violates check constraint of {what}: {row}")


async def lock_pools(conn: Transaction, pools: Collection[str]) -> None:
    await conn.statement()
    await conn.lock_all("pool", sorted(pools))


async def stock(conn: Reader, keys: Collection[Key]) -> list[Stock]:
    await conn.statement()
    return [row for key in keys if (row := conn.get("stock", key))]


async def save_stock(conn: Transaction, found: Collection[Stock]) -> None:
    await conn.statement()
    for s in found:
        claimed = s.held + s.allocated + s.allotted + s.unconfirmed
        _check(s.available == s.on_hand - claimed + s.shortfall, "stock", s)
        _check(s.available >= 0 and s.shortfall >= 0 and 0 in (s.available, s.shortfall), "stock", s)
        conn.put("stock", (s.pool, s.item), s)


async def lots(conn: Reader, keys: Collection[Key], named: Collection[UUID]) -> list[Lot]:
    await conn.statement()
    return [
        lot
        for lot in conn.rows("lot").values()
        if (lot.on_hand > 0 and (lot.pool, lot.item) in keys) or lot.id in named
    ]


async def save_lots(conn: Transaction, found: Collection[Lot]) -> None:
    await conn.statement()
    for lot in found:
        _check(lot.on_hand >= 0, "lot", lot)
        conn.put("lot", lot.id, lot)


async def allotments(conn: Reader, terminals: Collection[tuple[str, str]]) -> list[Allotment]:
    await conn.statement()
    found = [row for row in conn.rows("allotment").values() if (row.terminal, row.pool) in terminals]
    return sorted(found, key=lambda row: (row.terminal, row.pool, row.item))


async def save_allotments(conn: Transaction, found: Collection[Allotment]) -> None:
    await conn.statement()
    for a in found:
        _check(min(a.lost, a.allotted, a.unconfirmed) >= 0, "allotment", a)
        out = a.granted - a.returned - (a.sold - a.overdrawn) - a.lost
        _check(out == a.allotted + a.unconfirmed, "allotment", a)
        conn.put("allotment", (a.terminal, a.pool, a.item), a)


async def sales(conn: Reader, ids: Collection[UUID]) -> list[Sale]:
    await conn.statement()
    return [row for id in ids if (row := conn.get("sale", id))]


async def save_sales(conn: Transaction, found: Collection[Sale]) -> None:
    for sale in found:
        conn.put("sale", sale.id, sale)


async def save_explanations(conn: Transaction, found: Collection[rows.Explanation]) -> None:
    await conn.statement()
    for explanation in found:
        conn.insert("reason", explanation.cause, explanation)


async def save_catalog(conn: Transaction, found: Collection[rows.CatalogEntry]) -> None:
    for entry in sorted(found, key=lambda entry: (entry.kind, entry.id)):
        await conn.lock("catalog", (entry.kind, entry.id))
        conn.put("catalog", (entry.kind, entry.id), entry.body)


async def reservations(conn: Reader, ids: Collection[UUID]) -> list[Reservation]:
    await conn.statement()
    return [row[0] for id in ids if (row := conn.get("reservation", id))]


async def save_reservations(conn: Transaction, found: Collection[Reservation]) -> None:
    await conn.statement()
    for reservation in found:
        known = conn.get("reservation", reservation.id)
        no = known[1] if known else conn.db.next("reservation")
        conn.put("reservation", reservation.id, (reservation, no))


async def save_lines(_conn: Transaction, _found: Collection[rows.ReservationLine]) -> None:
    """Lines are kept with their reservation, in one statement."""


async def claimants(conn: Reader, upto: Mapping[Key, int]) -> dict[Key, list[Claimant]]:
    await conn.statement()
    claimed: dict[Key, list[tuple[bool, int, int, Claimant]]] = defaultdict(list)
    for reservation, no in conn.rows("reservation").values():
        held = reservation.state is ReservationState.HELD
        for line in reservation.lines if held or reservation.state is ReservationState.FIRM else ():
            claimant = Claimant(reservation.id, reservation.order, held, no, line.quantity)
            claimed[reservation.pool, line.item].append((not held, -no, line.line, claimant))
    found: dict[Key, list[Claimant]] = {}
    for key, limit in upto.items():
        before = 0
        for *_, claimant in sorted(claimed.get(key, ()), key=lambda row: row[:3]):
            if before < limit:
                found.setdefault(key, []).append(claimant)
            before += claimant.quantity
    return found


async def history(conn: Reader, causes: Collection[str]) -> dict[str, list[Move]]:
    await conn.statement()
    return {cause: [m.move for m in movements] for cause in causes if (movements := conn.get("movement", cause))}


def _movements(conn: Reader) -> list[rows.Movement]:
    numbered = sorted((n, movement) for n, movement in conn.rows("movement_n").items())  # type: ignore[type-var]
    return [movement for _, movement in numbered]


async def inferred(conn: Reader, pool: str, item: str, lot: UUID | None) -> list[Move]:
    await conn.statement()
    moves = [movement.move for movement in _movements(conn)]
    return [m for m in moves if (m.pool, m.item, m.lot) == (pool, item, lot) and m.inferred]


async def moved_since(conn: Reader, pool: str, item: str, lot: UUID | None, since: datetime) -> int:
    await conn.statement()
    change = 0
    for movement in conn.rows("movement_n").values():
        move = movement.move
        if (move.pool, move.item) == (pool, item) and movement.at > since and (lot is None or move.lot == lot):
            change += ((move.target == "on_hand") - (move.source == "on_hand")) * move.quantity
    return change


async def save_movements(conn: Transaction, found: Collection[rows.Movement]) -> None:
    await conn.statement()
    for movement in found:
        cause = movement.move.cause
        _check(movement.move.quantity > 0, "movement", movement)
        conn.insert("movement_id", movement.id, True)
        conn.put("movement_n", conn.db.next("movement"), movement)
        conn.put("movement", cause, (*(conn.get("movement", cause) or ()), movement))


async def catalog_entity(conn: Reader, kind: str, id: str) -> dict[str, Any] | None:
    await conn.statement()
    return conn.get("catalog", (kind, id))


async def one_lot(conn: Reader, id: UUID) -> dict[str, Any] | None:
    await conn.statement()
    lot = conn.get("lot", id)
    if lot is None:
        return None
    explanation = conn.get("reason", f"inspection/{id}")
    row = asdict(lot)
    return {"lot_id": id, "quantity": row["received"], "reason": explanation and explanation.code} | row


_SAVE: dict[str, Callable[[Transaction, Collection[Any]], Awaitable[None]]] = {
    statements.STOCK: save_stock,
    statements.LOTS: save_lots,
    statements.RESERVATIONS: save_reservations,
    statements.RESERVATION_LINES: save_lines,
    statements.ALLOTMENTS: save_allotments,
    statements.SALES: save_sales,
    statements.MOVEMENTS: save_movements,
    statements.EXPLANATIONS: save_explanations,
    statements.CATALOG: save_catalog,
}


async def write(conn: Transaction, statement: str, found: Collection[Any]) -> None:
    if found:
        await _SAVE[statement](conn, found)


SEAMS: tuple[tuple[Any, str, Any], ...] = (
    (rows, "lock_pools", lock_pools),
    (rows, "stock", stock),
    (rows, "lots", lots),
    (rows, "allotments", allotments),
    (rows, "sales", sales),
    (rows, "reservations", reservations),
    (rows, "claimants", claimants),
    (rows, "history", history),
    (rows, "inferred", inferred),
    (rows, "moved_since", moved_since),
    (statements, "write", write),
    (queries, "catalog", catalog_entity),
    (queries, "lot", one_lot),
)
