"""The rows of reservations and movements, each read and written as a set under the lock of their pool's row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from contracts.events.inventory import Place
from contracts.events.orders import GoodsLine
from services.inventory.domain.claims import Claimant
from services.inventory.domain.reservation import Reservation, ReservationState
from services.inventory.domain.stock import Claim, Move
from services.inventory.repository.load_set import Key
from services.inventory.repository.rows import columns
from services.kit.transaction.outbox import Connection

_MOVE = "pool, item, source, target, quantity, cause, lot, inferred"
_PLACES: dict[str, Place | Claim] = {str(place): place for place in (*Place, *Claim)}


@dataclass(frozen=True, slots=True)
class Entry:
    """A movement as it is written: with its id, who did it and when."""

    id: UUID
    move: Move
    actor: str
    at: datetime


async def reservations(conn: Connection, ids: Collection[UUID]) -> list[Reservation]:
    """Those of the reservations that are known, with their lines in order."""
    heads = await conn.fetch(
        "select id, pool, order_id, state, expires_at from reservation where id = any($1::uuid[])", list(ids)
    )
    if not heads:
        return []
    lines: dict[UUID, list[GoodsLine]] = defaultdict(list)
    for row in await conn.fetch(
        "select reservation, line, item, quantity from reservation_line "
        "where reservation = any($1::uuid[]) order by reservation, line",
        [head["id"] for head in heads],
    ):
        lines[row["reservation"]].append(GoodsLine(line=row["line"], item=row["item"], quantity=row["quantity"]))
    return [
        Reservation(
            h["id"], h["pool"], h["order_id"], ReservationState(h["state"]), tuple(lines[h["id"]]), h["expires_at"]
        )
        for h in heads
    ]


async def save_reservations(conn: Connection, rows: Collection[Reservation]) -> None:
    """Writes the reservations; new ones are numbered in this order. Lines are written as they stand."""
    await conn.execute(
        "insert into reservation (id, pool, order_id, state, expires_at) "
        "select id, pool, order_id, state, expires_at from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], "
        "$5::timestamptz[]) with ordinality as r(id, pool, order_id, state, expires_at, n) order by n "
        "on conflict (id) do update set state = excluded.state, expires_at = excluded.expires_at",
        *columns([(r.id, r.pool, r.order, r.state, r.expires_at) for r in rows], 5),
    )
    lines = [(r.id, line.line, r.pool, line.item, line.quantity) for r in rows for line in r.lines]
    if lines:
        await conn.execute(
            "insert into reservation_line (reservation, line, pool, item, quantity) "
            "select * from unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::bigint[]) "
            "on conflict (reservation, line) do update set item = excluded.item, quantity = excluded.quantity",
            *columns(lines, 5),
        )


async def claimants(conn: Connection, upto: Mapping[Key, int]) -> dict[Key, list[Claimant]]:
    """The newest claims on each item, holds first, that together reach the quantity given for it."""
    rows = await conn.fetch(
        "select * from (select l.pool, l.item, r.id, r.order_id, r.state = 'held' as held, r.no, l.quantity, k.upto, "
        "sum(l.quantity) over (partition by l.pool, l.item order by r.state = 'held' desc, r.no desc, l.line) "
        "- l.quantity as before from unnest($1::text[], $2::text[], $3::bigint[]) k(pool, item, upto) "
        "join reservation_line l using (pool, item) "
        "join reservation r on r.id = l.reservation and r.state in ('held', 'firm')) c where before < upto",
        *columns([(*key, quantity) for key, quantity in upto.items()], 3),
    )
    found: dict[Key, list[Claimant]] = defaultdict(list)
    for row in rows:
        claimant = Claimant(row["id"], row["order_id"], row["held"], row["no"], row["quantity"])
        found[row["pool"], row["item"]].append(claimant)
    return found


def move_of(row: Any) -> Move:
    """A movement from its row, which may carry more columns."""
    names = {name.strip(): row[name.strip()] for name in _MOVE.split(",")}
    return Move(**names | {"source": _PLACES[row["source"]], "target": _PLACES[row["target"]]})


async def history(conn: Connection, causes: Collection[str]) -> dict[str, list[Move]]:
    """The movements of each cause, oldest first."""
    rows = await conn.fetch(f"select {_MOVE} from movement where cause = any($1::text[]) order by n", list(causes))  # noqa: S608
    found: dict[str, list[Move]] = defaultdict(list)
    for row in rows:
        found[row["cause"]].append(move_of(row))
    return found


async def inferred(conn: Connection, pool: str, item: str, lot: UUID | None) -> list[Move]:
    """The physical movements of a lot, or of the item's unattributed one, that nobody read it for, oldest first."""
    rows = await conn.fetch(
        f"select {_MOVE} from movement where pool = $1 and item = $2 and lot is not distinct from $3 "  # noqa: S608
        "and inferred order by n",
        pool,
        item,
        lot,
    )
    return [move_of(row) for row in rows]


async def moved_since(conn: Connection, pool: str, item: str, lot: UUID | None, since: datetime) -> int:
    """By how much on hand of the item, or of one lot of it, changed after an instant."""
    found: int = await conn.fetchval(
        "select coalesce(sum(case when target = 'on_hand' then quantity else -quantity end), 0)::bigint from movement "
        "where pool = $1 and item = $2 and ($3::uuid is null or lot = $3) and at > $4 "
        "and 'on_hand' in (source, target)",
        pool,
        item,
        lot,
        since,
    )
    return found


async def save_entries(conn: Connection, entries: Collection[Entry]) -> None:
    """Writes the movements in order."""
    await conn.execute(
        f"insert into movement (id, {_MOVE}, actor, at) select id, {_MOVE}, actor, at from unnest($1::uuid[], "  # noqa: S608
        "$2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::uuid[], $9::boolean[], "
        f"$10::text[], $11::timestamptz[]) with ordinality as m(id, {_MOVE}, actor, at, n) order by n",
        *columns(
            [
                (e.id, m.pool, m.item, m.source, m.target, m.quantity, m.cause, m.lot, m.inferred, e.actor, e.at)
                for e in entries
                for m in [e.move]
            ],
            11,
        ),
    )
