"""The statements that write, one for each table: each takes any number of rows in one round trip."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.events.inventory import Reason
from services.inventory.domain.allotment import Allotment
from services.inventory.domain.lot import Lot
from services.inventory.domain.reservation import Reservation
from services.inventory.domain.sale import Sale
from services.inventory.domain.stock import Move, Stock
from services.kit.transaction.rows import RowStatement


@dataclass(frozen=True, slots=True)
class ReservationLine:
    """A row of `reservation_line`."""

    reservation: UUID
    pool: str
    line: int
    item: str
    quantity: int


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
    """A row of `catalog`: the last published content of a catalogue entity, as JSON."""

    kind: str
    id: str
    body: str


STOCK = RowStatement(
    Stock,
    """
insert into stock (pool, item, on_hand, held, allocated, allotted, unconfirmed, closed, shortfall, available)
select pool, item, on_hand, held, allocated, allotted, unconfirmed, closed, shortfall, available from {rows}
on conflict (pool, item) do update set
  (on_hand, held, allocated, allotted, unconfirmed, closed, shortfall, available) =
  (excluded.on_hand, excluded.held, excluded.allocated, excluded.allotted, excluded.unconfirmed, excluded.closed,
   excluded.shortfall, excluded.available)
""",
    shortfall="bigint",
    available="bigint",
)
LOTS = RowStatement(
    Lot,
    """
insert into lot
  (id, pool, item, household, received, received_at, harvested_at, sell_by, state, released, rejected, on_hand)
select id, pool, item, household, received, received_at, harvested_at, sell_by, state, released, rejected, on_hand
from {rows}
on conflict (id) do update set
  (state, released, rejected, on_hand) = (excluded.state, excluded.released, excluded.rejected, excluded.on_hand)
""",
)
# New reservations are numbered in the order of the rows: `no` says which of two is newer.
RESERVATIONS = RowStatement(
    Reservation,
    """
insert into reservation (id, pool, order_id, state, expires_at)
select id, pool, "order", state, expires_at from {rows} order by n
on conflict (id) do update set (state, expires_at) = (excluded.state, excluded.expires_at)
""",
)
RESERVATION_LINES = RowStatement(
    ReservationLine,
    """
insert into reservation_line (reservation, line, pool, item, quantity)
select reservation, line, pool, item, quantity from {rows}
on conflict (reservation, line) do update set (item, quantity) = (excluded.item, excluded.quantity)
""",
)
ALLOTMENTS = RowStatement(
    Allotment,
    """
insert into allotment
  (terminal, pool, item, granted, returned, sold, overdrawn, lost, allotted, unconfirmed, version, lease_until, counted,
   closed)
select terminal, pool, item, granted, returned, sold, overdrawn, lost, allotted, unconfirmed, version, lease_until,
  counted, closed
from {rows}
on conflict (terminal, pool, item) do update set
  (granted, returned, sold, overdrawn, lost, allotted, unconfirmed, version, lease_until, counted, closed) =
  (excluded.granted, excluded.returned, excluded.sold, excluded.overdrawn, excluded.lost, excluded.allotted,
   excluded.unconfirmed, excluded.version, excluded.lease_until, excluded.counted, excluded.closed)
""",
)
SALES = RowStatement(
    Sale,
    """
insert into sale (id, terminal, pool, voided) select id, terminal, pool, voided from {rows}
on conflict (id) do update set voided = excluded.voided
""",
)
# Movements are numbered in the order of the rows.
MOVEMENTS = RowStatement(
    Movement,
    """
insert into movement (id, pool, item, source, target, quantity, cause, lot, inferred, actor, at)
select id, pool, item, source, target, quantity, cause, lot, inferred, actor, at from {rows} order by n
""",
)
EXPLANATIONS = RowStatement(
    Explanation,
    """
insert into reason (cause, pool, item, code, note, actor, at)
select cause, pool, item, code, note, actor, at from {rows}
""",
)
# Sorted, so that two transactions which write the same entries can't wait for each other.
CATALOG = RowStatement(
    CatalogEntry,
    """
insert into catalog (kind, id, body) select kind, id, body::jsonb from {rows} order by kind, id
on conflict (kind, id) do update set body = excluded.body
""",
)
