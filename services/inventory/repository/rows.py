"""Rows of pools: read as domain objects, each table as a set in one statement, and mapped back to columns.

All of them are read under the lock of their pool's row, so they take no locks of their own. Columns have the names of
the dataclasses' fields.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from contracts.events.inventory import Place, Reason
from contracts.events.orders import GoodsLine
from services.inventory.domain.allotment import Allotment
from services.inventory.domain.lot import Lot, LotState
from services.inventory.domain.reservation import Reservation, ReservationState
from services.inventory.domain.sale import Sale
from services.inventory.domain.shortfall import Claimant
from services.inventory.domain.stock import Claim, Move, Stock
from services.inventory.repository.load_set import Key
from services.kit.database import Connection, lock_rows


@dataclass(frozen=True, slots=True)
class Movement:
    """A row of `movement`: a move with its id, the consumer or role that made it, and its time."""

    id: UUID
    move: Move
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ReservationLine:
    """A row of `reservation_line`."""

    reservation: UUID
    pool: str
    line: int
    item: str
    quantity: int


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


_STOCK, _LOT, _ALLOTMENT, _SALE, _MOVE = (
    tuple(field.name for field in fields(row)) for row in (Stock, Lot, Allotment, Sale, Move)
)
_PLACES: dict[str, Place | Claim] = {str(place): place for place in (*Place, *Claim)}
_STOCK_OF = "select stock.* from stock join unnest($1::text[], $2::text[]) k(pool, item) using (pool, item)"
_LOTS_OF = """
select lot.* from lot join unnest($1::text[], $2::text[]) k(pool, item) using (pool, item) where on_hand > 0
union select * from lot where id = any($3::uuid[])
"""
_ALLOTMENTS_OF = """
select allotment.* from allotment
join unnest($1::text[], $2::text[]) k(terminal, pool) using (terminal, pool) order by terminal, pool, item
"""
_LINES_OF = "select * from reservation_line where reservation = any($1::uuid[]) order by reservation, line"
_CLAIMANTS = """
select * from (
  select l.pool, l.item, r.id, r.order_id, r.state = 'held' as held, r.no, l.quantity, k.upto,
    sum(l.quantity) over (partition by l.pool, l.item order by r.state = 'held' desc, r.no desc, l.line) - l.quantity
      as before
  from unnest($1::text[], $2::text[], $3::bigint[]) k(pool, item, upto) join reservation_line l using (pool, item)
  join reservation r on r.id = l.reservation and r.state in ('held', 'firm')
) c where before < upto
"""
_INFERRED = """
select * from movement where pool = $1 and item = $2 and lot is not distinct from $3 and inferred order by n
"""
_MOVED_SINCE = """
select coalesce(sum(case when target = 'on_hand' then quantity else -quantity end), 0)::bigint from movement
where pool = $1 and item = $2 and ($3::uuid is null or lot = $3) and at > $4 and 'on_hand' in (source, target)
"""


async def lock_pools(conn: Connection, pools: Collection[str]) -> None:
    """Locks the head rows of the pools in order, and creates new ones. Every writer of a pool does this first."""
    found = await lock_rows(conn, "pool", pools, column="pool", type_="text")
    if len(found) < len(pools):
        await conn.execute(
            "insert into pool select p from unnest($1::text[]) p order by p on conflict do nothing", sorted(pools)
        )
        await lock_rows(conn, "pool", pools, column="pool", type_="text")


async def stock(conn: Connection, keys: Collection[Key]) -> list[Stock]:
    """Return the stock of these (pool, item), as far as it exists."""
    return [Stock(**_of(row, _STOCK)) for row in await conn.fetch(_STOCK_OF, *_arrays(keys, 2))]


async def lots(conn: Connection, keys: Collection[Key], named: Collection[UUID]) -> list[Lot]:
    """Return the lots of these items that have goods, and the named lots."""
    rows = await conn.fetch(_LOTS_OF, *_arrays(keys, 2), list(named))
    return [Lot(**_of(row, _LOT) | {"state": LotState(row["state"])}) for row in rows]


async def allotments(conn: Connection, terminals: Collection[tuple[str, str]]) -> list[Allotment]:
    """Return all allotments of these (terminal, pool), sorted: the ids of movements follow from this order."""
    return [Allotment(**_of(row, _ALLOTMENT)) for row in await conn.fetch(_ALLOTMENTS_OF, *_arrays(terminals, 2))]


async def sales(conn: Connection, ids: Collection[UUID]) -> list[Sale]:
    """Return the known ones of these sales."""
    rows = await conn.fetch("select * from sale where id = any($1::uuid[])", list(ids))
    return [Sale(**_of(row, _SALE)) for row in rows]


async def reservations(conn: Connection, ids: Collection[UUID]) -> list[Reservation]:
    """Return the known ones of these reservations, with their lines in order."""
    heads = await conn.fetch("select * from reservation where id = any($1::uuid[])", list(ids))
    if not heads:
        return []
    lines: dict[UUID, list[GoodsLine]] = defaultdict(list)
    for row in await conn.fetch(_LINES_OF, [head["id"] for head in heads]):
        lines[row["reservation"]].append(GoodsLine(line=row["line"], item=row["item"], quantity=row["quantity"]))
    return [
        Reservation(
            h["id"], h["pool"], h["order_id"], ReservationState(h["state"]), tuple(lines[h["id"]]), h["expires_at"]
        )
        for h in heads
    ]


async def claimants(conn: Connection, upto: Mapping[Key, int]) -> dict[Key, list[Claimant]]:
    """Return the newest claims on each item, holds first, that together reach the quantity given for it."""
    found: dict[Key, list[Claimant]] = defaultdict(list)
    for row in await conn.fetch(_CLAIMANTS, *_arrays([(*key, quantity) for key, quantity in upto.items()], 3)):
        claimant = Claimant(row["id"], row["order_id"], row["held"], row["no"], row["quantity"])
        found[row["pool"], row["item"]].append(claimant)
    return found


async def history(conn: Connection, causes: Collection[str]) -> dict[str, list[Move]]:
    """Return the movements of each cause, oldest first."""
    found: dict[str, list[Move]] = defaultdict(list)
    for row in await conn.fetch("select * from movement where cause = any($1::text[]) order by n", list(causes)):
        found[row["cause"]].append(move_of(row))
    return found


async def inferred(conn: Connection, pool: str, item: str, lot: UUID | None) -> list[Move]:
    """Return the inferred movements of a lot, or of the item's unattributed lot (None), oldest first."""
    return [move_of(row) for row in await conn.fetch(_INFERRED, pool, item, lot)]


async def moved_since(conn: Connection, pool: str, item: str, lot: UUID | None, since: datetime) -> int:
    """Return the change of on hand of the item, or of one lot of it, after an instant."""
    change: int = await conn.fetchval(_MOVED_SINCE, pool, item, lot, since)
    return change


def to_json(values: Collection[Any]) -> str:
    """Return rows as the JSON array that the `statements` take."""
    return orjson.dumps(list(values), default=_columns, option=orjson.OPT_PASSTHROUGH_DATACLASS).decode()


def _columns(value: Any) -> Any:
    match value:
        case Stock():
            return _fields(value, _STOCK) | {"shortfall": value.shortfall, "available": value.available}
        case Reservation():
            return {
                "id": value.id,
                "pool": value.pool,
                "order_id": value.order,
                "state": value.state,
                "expires_at": value.expires_at,
            }
        case Movement():
            return _fields(value.move, _MOVE) | {"id": value.id, "actor": value.actor, "at": value.at}
        case UUID():
            return str(value)  # asyncpg has a class of its own
        case _:
            return _fields(value, [field.name for field in fields(value)])


def _fields(value: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(value, name) for name in names}


def move_of(row: Any) -> Move:
    """Return the movement in a row of `movement`."""
    return Move(**_of(row, _MOVE) | {"source": _PLACES[row["source"]], "target": _PLACES[row["target"]]})


def _of(row: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: row[name] for name in names}


def _arrays(rows: Iterable[Sequence[Any]], width: int) -> list[list[Any]]:
    """One array for each of the `width` columns, also where there is no row."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]
