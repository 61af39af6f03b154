"""What pages show of lots and stock, and what the catalogue says. No locks: a page shows what is committed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson

from services.kit.transaction.outbox import Connection

_STOCK = "pool, item, on_hand, held, allocated, allotted, unconfirmed, shortfall, available, closed as sold_out"
_LOT = (
    "id as lot_id, pool, item, household, state, received as quantity, released, rejected, on_hand, harvested_at, "
    "sell_by, received_at, (select code from reason where cause = 'inspection/' || lot.id) as reason"
)
_TRACE = """
select n, m.id as movement_id, source as from_place, target as to_place, quantity, inferred, m.cause, m.actor, m.at,
  r.code as reason, r.note, source = 'on_hand' and target in ('courier', 'buyer', 'sold')
    and coalesce(sell_by < m.at, false) as expired
from movement m join lot on lot.id = m.lot left join reason r on r.cause = m.cause
where m.lot = $1 and n > $2 order by n limit $3
"""
_LOSSES = """
select r.pool, r.item, code, sum(case when source = 'on_hand' then quantity else -quantity end)::bigint as quantity
from reason r join unnest($1::text[], $2::text[]) k(pool, item) using (pool, item) join movement m on m.cause = r.cause
where 'on_hand' in (source, target) group by r.pool, r.item, code order by code
"""


async def catalog(conn: Connection, kind: str, id: str) -> dict[str, Any] | None:
    """A catalogue entity as it was last published; None while its event has not arrived."""
    body = await conn.fetchval("select body from catalog where kind = $1 and id = $2", kind, id)
    found = orjson.loads(body) if body is not None else None
    return found if found is None or isinstance(found, dict) else {}  # what is no object can't be read


async def lot(conn: Connection, id: UUID) -> dict[str, Any] | None:
    """One lot."""
    row = await conn.fetchrow(f"select {_LOT} from lot where id = $1", id)  # noqa: S608
    return None if row is None else dict(row)


async def trace(conn: Connection, lot: UUID, after: int, limit: int) -> list[dict[str, Any]]:
    """A lot's movements with why they happened, oldest first; `n` is the cursor."""
    return [dict(row) for row in await conn.fetch(_TRACE, lot, after, limit)]


async def stock(
    conn: Connection, pool: str | None, item: str | None, after: tuple[str, str], limit: int
) -> list[dict[str, Any]]:
    """Stock rows in order of pool and item behind `after`, each with its lots that have goods, with the unattributed
    lot (null) where it is not 0, and with `losses`: how much went by waste and counts, by the code of the reason.
    """
    rows = await conn.fetch(
        f"select {_STOCK} from stock where ($1::text is null or pool = $1) and ($2::text is null or item = $2) "  # noqa: S608
        "and (pool, item) > ($3, $4) order by pool, item limit $5",
        pool,
        item,
        *after,
        limit,
    )
    lots = await conn.fetch(
        "select l.pool, l.item, l.id as lot_id, household, on_hand, sell_by from lot l "
        "join unnest($1::text[], $2::text[]) k(pool, item) using (pool, item) where on_hand > 0 "
        "order by sell_by nulls last, harvested_at, id",
        [row["pool"] for row in rows],
        [row["item"] for row in rows],
    )
    found = {(row["pool"], row["item"]): dict(row) | {"by_lot": [], "losses": {}} for row in rows}
    keys = [list(column) for column in zip(*found, strict=True)] or [[], []]
    for lost in await conn.fetch(_LOSSES, *keys):
        found[lost["pool"], lost["item"]]["losses"][lost["code"]] = lost["quantity"]
    for lot in lots:
        found[lot["pool"], lot["item"]]["by_lot"].append(
            {name: lot[name] for name in ("lot_id", "household", "on_hand", "sell_by")}
        )
    for shown in found.values():
        rest = shown["on_hand"] - sum(one["on_hand"] for one in shown["by_lot"])
        if rest:
            shown["by_lot"].append({"lot_id": None, "household": None, "on_hand": rest, "sell_by": None})
    return list(found.values())
