"""Store of inventory: what a transaction reads and writes, as PostgreSQL or memory provides it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from contracts.events.inventory import Reason
from services.inventory.domain.allotment import Allotment
from services.inventory.domain.lot import Lot
from services.inventory.domain.reservation import Reservation
from services.inventory.domain.sale import Sale
from services.inventory.domain.shortfall import Claimant
from services.inventory.domain.stock import Move, Stock
from services.inventory.repository.load_set import Key


@dataclass(frozen=True, slots=True)
class Movement:
    """A row of `movement`: a move with its id, the consumer or role that made it, and its time."""

    id: UUID
    move: Move
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Explanation:
    """A row of `reason`: why the movements of a cause were made. The code is published with them, the note is not."""

    cause: str
    pool: str
    item: str
    code: Reason
    note: str
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A row of `catalog`: the last published content of a catalogue entity."""

    kind: str
    id: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StockChanges:
    """The rows that a transaction writes. New reservations and movements are numbered in the given order."""

    stock: Collection[Stock] = ()
    lots: Collection[Lot] = ()
    reservations: Collection[Reservation] = ()
    allotments: Collection[Allotment] = ()
    sales: Collection[Sale] = ()
    movements: Collection[Movement] = ()
    explanations: Collection[Explanation] = ()
    catalog: Collection[CatalogEntry] = ()


class StockStore(Protocol):
    """The tables of inventory in one transaction.

    Reads take no locks: the rows of a pool are read and written under the lock of the pool alone, which `lock_pools`
    takes first. They see the transaction's own writes and what others have committed. Rows that do not exist are left
    out; the order of a result is undefined unless it is stated.
    """

    async def lock_pools(self, pools: Collection[str]) -> None:
        """Lock the pools in sorted order until the end of the transaction, and create those that are new."""

    async def read_stock(self, keys: Collection[Key]) -> list[Stock]:
        """Return the stock of these (pool, item)."""

    async def read_lots(self, keys: Collection[Key], named: Collection[UUID]) -> list[Lot]:
        """Return the lots of these (pool, item) that have goods, and the named lots; each lot once."""

    async def read_reservations(self, ids: Collection[UUID]) -> list[Reservation]:
        """Return these reservations, with their lines in order."""

    async def read_allotments(self, terminals: Collection[tuple[str, str]]) -> list[Allotment]:
        """Return all allotments of these (terminal, pool), sorted: the ids of movements follow from this order."""

    async def read_doubted(self, pool: str, item: str) -> list[Allotment]:
        """Return the allotments of an item of which something is in doubt, sorted by terminal."""

    async def read_units(self, items: Collection[str]) -> dict[str, str]:
        """Return the unit of each of these items that is in the catalogue."""

    async def read_sales(self, ids: Collection[UUID]) -> list[Sale]:
        """Return these sales."""

    async def read_claimants(self, upto: Mapping[Key, int]) -> dict[Key, list[Claimant]]:
        """Return the newest claims on each (pool, item), holds first, that together reach the quantity given for it."""

    async def read_history(self, causes: Collection[str]) -> dict[str, list[Move]]:
        """Return the movements of each cause, oldest first."""

    async def read_inferred(self, pool: str, item: str, lot: UUID | None) -> list[Move]:
        """Return the inferred movements of a lot, or of the item's unattributed lot (None), oldest first."""

    async def read_reasons(self, causes: Collection[str]) -> dict[str, Reason]:
        """Return the recorded reason of each cause that has one."""

    async def read_change_since(self, pool: str, item: str, lot: UUID | None, since: datetime) -> int:
        """Return the change of on hand of the item, or of one lot of it, after an instant."""

    async def read_lot_view(self, id: UUID) -> dict[str, Any] | None:
        """Return one lot as the API shows it, with the reason of its rejection; None where it does not exist."""

    async def read_catalog_entry(self, kind: str, id: str) -> dict[str, Any] | None:
        """Return the last published content of a catalogue entity; None while its event has not arrived."""

    async def save(self, changes: StockChanges) -> None:
        """Write the changes; a row replaces the row of its key.

        Lines of a reservation are replaced by their numbers. Catalogue entries need no lock of a pool: they are written
        in sorted order, so two transactions with the same entries can't deadlock. Raises asyncpg's
        `CheckViolationError` for a row that breaks a rule of its table, such as goods promised without a shortfall, and
        its `UniqueViolationError` for a movement or explanation that exists.
        """
