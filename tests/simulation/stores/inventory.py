"""The tables of inventory in memory, with the checks of its migrations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from contracts.events.inventory import Place, Reason
from services.inventory.domain.allotment import Allotment
from services.inventory.domain.lot import Lot
from services.inventory.domain.reservation import Reservation, ReservationState
from services.inventory.domain.sale import Sale
from services.inventory.domain.shortfall import Claimant
from services.inventory.domain.stock import Move, Stock
from services.inventory.repository.load_set import Key
from services.inventory.repository.store import CatalogEntry, Explanation, Movement, StockChanges, StockStore
from tests.simulation.memory import Transaction


class MemoryStock(StockStore):
    """The store over one connection of the memory database; a reservation's row has its number, too."""

    def __init__(self, conn: Transaction) -> None:
        self._conn = conn

    async def lock_pools(self, pools: Collection[str]) -> None:
        await self._conn.statement()
        await self._conn.lock_all("pool", sorted(pools))

    async def read_stock(self, keys: Collection[Key]) -> list[Stock]:
        await self._conn.statement()
        return self._rows_of("stock", keys)

    async def read_lots(self, keys: Collection[Key], named: Collection[UUID]) -> list[Lot]:
        await self._conn.statement()
        lots = self._conn.rows("lot").values()
        return [lot for lot in lots if (lot.on_hand > 0 and (lot.pool, lot.item) in keys) or lot.id in named]

    async def read_reservations(self, ids: Collection[UUID]) -> list[Reservation]:
        await self._conn.statement()
        return [reservation for reservation, _ in self._rows_of("reservation", ids)]

    async def read_allotments(self, terminals: Collection[tuple[str, str]]) -> list[Allotment]:
        await self._conn.statement()
        found = [row for row in self._conn.rows("allotment").values() if (row.terminal, row.pool) in terminals]
        return sorted(found, key=lambda row: (row.terminal, row.pool, row.item))

    async def read_doubted(self, pool: str, item: str) -> list[Allotment]:
        await self._conn.statement()
        found = [row for row in self._conn.rows("allotment").values() if (row.pool, row.item) == (pool, item)]
        return sorted((row for row in found if row.doubted), key=lambda row: row.terminal)

    async def read_units(self, items: Collection[str]) -> dict[str, str]:
        await self._conn.statement()
        entries = {item: self._conn.get("catalog", ("item", item)) for item in items}
        return {item: entry["unit"] for item, entry in entries.items() if entry and entry.get("unit")}

    async def read_sales(self, ids: Collection[UUID]) -> list[Sale]:
        await self._conn.statement()
        return self._rows_of("sale", ids)

    async def read_claimants(self, upto: Mapping[Key, int]) -> dict[Key, list[Claimant]]:
        await self._conn.statement()
        claimed: dict[Key, list[tuple[bool, int, int, Claimant]]] = defaultdict(list)
        for reservation, no in self._conn.rows("reservation").values():
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

    async def read_history(self, causes: Collection[str]) -> dict[str, list[Move]]:
        await self._conn.statement()
        rows = {cause: self._conn.get("movement", cause) for cause in causes}
        return {cause: [movement.move for movement in movements] for cause, movements in rows.items() if movements}

    async def read_inferred(self, pool: str, item: str, lot: UUID | None) -> list[Move]:
        await self._conn.statement()
        moves = [movement.move for _, movement in sorted(self._conn.rows("movement_n").items())]  # type: ignore[type-var]
        return [move for move in moves if (move.pool, move.item, move.lot) == (pool, item, lot) and move.inferred]

    async def read_reasons(self, causes: Collection[str]) -> dict[str, Reason]:
        await self._conn.statement()
        return {cause: found.code for cause in causes if (found := self._conn.get("reason", cause))}

    async def read_change_since(self, pool: str, item: str, lot: UUID | None, since: datetime) -> int:
        await self._conn.statement()
        later = [movement.move for movement in self._conn.rows("movement_n").values() if movement.at > since]
        return sum(
            ((move.target is Place.ON_HAND) - (move.source is Place.ON_HAND)) * move.quantity
            for move in later
            if (move.pool, move.item) == (pool, item) and lot in (None, move.lot)
        )

    async def read_lot_view(self, id: UUID) -> dict[str, Any] | None:
        await self._conn.statement()
        lot = self._conn.get("lot", id)
        if lot is None:
            return None
        explanation, row = self._conn.get("reason", f"inspection/{id}"), asdict(lot)
        view = {"lot_id": row.pop("id"), "quantity": row.pop("received"), "reason": explanation and explanation.code}
        return view | row

    async def read_catalog_entry(self, kind: str, id: str) -> dict[str, Any] | None:
        await self._conn.statement()
        return self._conn.get("catalog", (kind, id))

    async def save(self, changes: StockChanges) -> None:
        for written, save in (
            (changes.stock, self._save_stock),
            (changes.lots, self._save_lot),
            (changes.reservations, self._save_reservation),
            (changes.allotments, self._save_allotment),
            (changes.sales, self._save_sale),
            (changes.movements, self._save_movement),
            (changes.explanations, self._save_explanation),
        ):
            if written:
                await self._conn.statement()
                for row in written:
                    save(row)
        await self._save_catalog(changes.catalog)

    def _save_stock(self, stock: Stock) -> None:
        _check(stock.available == stock.on_hand - stock.claims + stock.shortfall, "stock", stock)
        _check(min(stock.available, stock.shortfall) == 0, "stock", stock)
        self._conn.put("stock", (stock.pool, stock.item), stock)

    def _save_lot(self, lot: Lot) -> None:
        _check(lot.on_hand >= 0 and lot.received > 0, "lot", lot)
        self._conn.put("lot", lot.id, lot)

    def _save_reservation(self, reservation: Reservation) -> None:
        _check(all(line.quantity >= 0 for line in reservation.lines), "reservation_line", reservation)
        known, no = self._conn.get("reservation", reservation.id) or (None, self._conn.db.next("reservation"))
        if known:
            lines = {line.line: line for line in (*known.lines, *reservation.lines)}
            reservation = replace(reservation, lines=tuple(lines[number] for number in sorted(lines)))
        self._conn.put("reservation", reservation.id, (reservation, no))

    def _save_allotment(self, allotment: Allotment) -> None:
        _check(min(allotment.lost, allotment.allotted, allotment.unconfirmed) >= 0, "allotment", allotment)
        sold = allotment.sold - allotment.overdrawn
        out = allotment.granted - allotment.returned - sold - allotment.lost
        _check(out == allotment.allotted + allotment.unconfirmed, "allotment", allotment)
        self._conn.put("allotment", (allotment.terminal, allotment.pool, allotment.item), allotment)

    def _save_sale(self, sale: Sale) -> None:
        self._conn.put("sale", sale.id, sale)

    def _save_movement(self, movement: Movement) -> None:
        cause = movement.move.cause
        _check(movement.move.quantity > 0, "movement", movement)
        self._conn.insert("movement_id", movement.id, True)
        self._conn.put("movement_n", self._conn.db.next("movement"), movement)
        self._conn.put("movement", cause, (*(self._conn.get("movement", cause) or ()), movement))

    def _save_explanation(self, explanation: Explanation) -> None:
        self._conn.insert("reason", explanation.cause, explanation)

    async def _save_catalog(self, entries: Collection[CatalogEntry]) -> None:
        if entries:
            await self._conn.statement()
        for entry in sorted(entries, key=lambda entry: (entry.kind, entry.id)):
            await self._conn.lock("catalog", (entry.kind, entry.id))
            self._conn.put("catalog", (entry.kind, entry.id), entry.body)

    def _rows_of(self, table: str, keys: Collection[Any]) -> list[Any]:
        return [row for key in keys if (row := self._conn.get(table, key))]


def _check(holds: bool, table: str, row: Any) -> None:
    if not holds:
        raise asyncpg.CheckViolationError(f"new row for {table} violates a check constraint: {row}")
