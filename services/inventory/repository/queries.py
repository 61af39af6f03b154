"""Read models of the API: traces of lots and stock as committed, read without locks."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from services.kit.database import Connection

_TRACE = """
select n, m.id as movement_id, source as from_place, target as to_place, quantity, inferred, m.cause, m.actor, m.at,
  r.code as reason, r.note, source = 'on_hand' and target in ('courier', 'buyer', 'sold')
    and coalesce(sell_by < m.at, false) as expired
from movement m join lot on lot.id = m.lot left join reason r on r.cause = m.cause
where m.lot = $1 and n > $2 order by n limit $3
"""
_STOCK = """
select pool, item, on_hand, held, allocated, allotted, unconfirmed, shortfall, available, closed as sold_out,
  coalesce(doubted, 0) as doubted from stock
where (not $7 or doubted > 0) and ($1::text is null or pool = $1) and ($2::text is null or item = $2)
  and ($3::text[] is null or split_part(pool, '@', 2) = any($3)) and (pool, item) > ($4, $5)
order by pool, item limit $6
"""
_AVAILABILITY = """
select item, available > 0 and not closed as available from stock where pool = $1 and item > $2 order by item limit $3
"""
_LOTS = """
select l.pool, l.item, l.id as lot_id, household, on_hand, sell_by
from lot l join unnest($1::text[], $2::text[]) k(pool, item) using (pool, item)
where on_hand > 0 order by sell_by nulls last, harvested_at, id
"""
_LOSSES = """
select r.pool, r.item, code, sum(case when source = 'on_hand' then quantity else -quantity end)::bigint as quantity
from reason r join unnest($1::text[], $2::text[]) k(pool, item) using (pool, item) join movement m on m.cause = r.cause
where 'on_hand' in (source, target) group by r.pool, r.item, code order by code
"""


async def trace(conn: Connection, lot: UUID, after: int, limit: int) -> list[dict[str, Any]]:
    """Return a lot's movements with their reasons, oldest first; `n` is the cursor."""
    return [dict(row) for row in await conn.fetch(_TRACE, lot, after, limit)]


async def availability(conn: Connection, pool: str, after: str, limit: int) -> list[dict[str, Any]]:
    """Return the items of a pool in order, beginning after `after`, and whether any of each can be promised."""
    return [dict(row) for row in await conn.fetch(_AVAILABILITY, pool, after, limit)]


async def stock(
    conn: Connection,
    pool: str | None,
    item: str | None,
    sites: Collection[str] | None,
    after: tuple[str, str],
    limit: int,
    *,
    in_doubt: bool = False,
) -> list[dict[str, Any]]:
    """Return stock in order of pool and item, beginning after `after`; of these sites, or of all. `in_doubt`: only
    items of which stalls sold more than is plausible.

    Each row has `by_lot`, its lots with goods and, where it is not 0, the unattributed lot (null); and `losses`, the
    quantity that is lost through waste and counts, by the code of the reason.
    """
    rows = await conn.fetch(_STOCK, pool, item, None if sites is None else list(sites), *after, limit, in_doubt)
    found = {(row["pool"], row["item"]): dict(row) | {"by_lot": [], "losses": {}} for row in rows}
    keys = [list(column) for column in zip(*found, strict=True)] or [[], []]
    for lot in await conn.fetch(_LOTS, *keys):
        shown = {name: lot[name] for name in ("lot_id", "household", "on_hand", "sell_by")}
        found[lot["pool"], lot["item"]]["by_lot"].append(shown)
    for lost in await conn.fetch(_LOSSES, *keys):
        found[lost["pool"], lost["item"]]["losses"][lost["code"]] = lost["quantity"]
    for one in found.values():
        rest = one["on_hand"] - sum(lot["on_hand"] for lot in one["by_lot"])
        if rest:
            one["by_lot"].append({"lot_id": None, "household": None, "on_hand": rest, "sell_by": None})
    return list(found.values())
