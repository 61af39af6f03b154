"""Rows of inventory's tables as domain objects, and domain objects as the JSON rows that the `statements` take.

Columns have the names of the dataclasses' fields.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

import orjson

from contracts.events.inventory import Place
from contracts.events.orders import GoodsLine
from services.inventory.domain.allotment import Allotment
from services.inventory.domain.lot import Lot, LotState
from services.inventory.domain.reservation import Reservation, ReservationState
from services.inventory.domain.sale import Sale
from services.inventory.domain.shortfall import Claimant
from services.inventory.domain.stock import Claim, Move, Stock
from services.inventory.repository.store import Movement


@dataclass(frozen=True, slots=True)
class ReservationLine:
    """A row of `reservation_line`."""

    reservation: UUID
    pool: str
    line: int
    item: str
    quantity: int


_STOCK, _LOT, _ALLOTMENT, _SALE, _MOVE = (
    tuple(field.name for field in fields(row)) for row in (Stock, Lot, Allotment, Sale, Move)
)
_PLACES: dict[str, Place | Claim] = {str(place): place for place in (*Place, *Claim)}


def stock_of(row: Any) -> Stock:
    """Return the stock in a row of `stock`."""
    return Stock(**_of(row, _STOCK) | {"doubted": row["doubted"] or 0})


def lot_of(row: Any) -> Lot:
    """Return the lot in a row of `lot`."""
    return Lot(**_of(row, _LOT) | {"state": LotState(row["state"])})


def allotment_of(row: Any) -> Allotment:
    """Return the allotment in a row of `allotment`."""
    return Allotment(**_of(row, _ALLOTMENT) | {name: row[name] or 0 for name in ("doubted", "confirmed")})


def sale_of(row: Any) -> Sale:
    """Return the sale in a row of `sale`."""
    return Sale(**_of(row, _SALE))


def reservation_of(row: Any, lines: Iterable[Any]) -> Reservation:
    """Return the reservation in a row of `reservation` and its rows of `reservation_line`."""
    goods = tuple(GoodsLine(line=line["line"], item=line["item"], quantity=line["quantity"]) for line in lines)
    state = ReservationState(row["state"])
    return Reservation(row["id"], row["pool"], row["order_id"], state, goods, row["expires_at"])


def claimant_of(row: Any) -> Claimant:
    """Return the claim of a reservation in a row of both its tables."""
    return Claimant(row["id"], row["order_id"], row["held"], row["no"], row["quantity"])


def move_of(row: Any) -> Move:
    """Return the movement in a row of `movement`."""
    return Move(**_of(row, _MOVE) | {"source": _PLACES[row["source"]], "target": _PLACES[row["target"]]})


def lines_of(reservations: Iterable[Reservation]) -> list[ReservationLine]:
    """Return the lines of reservations as rows."""
    return [
        ReservationLine(one.id, one.pool, line.line, line.item, line.quantity)
        for one in reservations
        for line in one.lines
    ]


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


def _of(row: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: row[name] for name in names}


def arrays(rows: Iterable[Sequence[Any]], width: int) -> list[list[Any]]:
    """Return one array for each of the `width` columns, also where there is no row."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]
