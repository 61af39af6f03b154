"""The rows of pools, stock, lots, allotments and sales: each read and written as a set, in one statement.

Read and written only under the lock of their pool's row, so they take no locks of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from contracts.events.inventory import Reason
from services.inventory.domain.allotment import Allotment
from services.inventory.domain.lot import Lot, LotState
from services.inventory.domain.sale import Sale
from services.inventory.domain.stock import Stock
from services.inventory.repository.load_set import Key
from services.kit.database import lock_rows
from services.kit.transaction.outbox import Connection

_STOCK = "pool, item, on_hand, held, allocated, allotted, unconfirmed, closed"
_LOT = "id, pool, item, household, received, harvested_at, sell_by, state, released, rejected, on_hand"
_ALLOTMENT = (
    "terminal, pool, item, granted, returned, sold, overdrawn, lost, allotted, unconfirmed, version, lease_until, "
    "counted, closed"
)


class Explained(NamedTuple):
    """Why what has a cause happened: a code, and words that are not published."""

    cause: str
    pool: str
    item: str
    code: Reason
    note: str
    actor: str
    at: datetime


def columns(rows: Iterable[Sequence[Any]], width: int) -> list[list[Any]]:
    """Rows turned into one array per column, as `unnest` takes them; `width` columns also when there is no row."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]


async def lock_pools(conn: Connection, pools: Collection[str]) -> None:
    """Locks the head rows in order, making those that are new. The first thing any writer of a pool does."""
    found = await lock_rows(conn, "pool", pools, column="pool", type_="text")
    if len(found) < len(pools):
        await conn.execute(
            "insert into pool select p from unnest($1::text[]) p order by p on conflict do nothing", sorted(pools)
        )
        await lock_rows(conn, "pool", pools, column="pool", type_="text")


async def stock(conn: Connection, keys: Collection[Key]) -> list[Stock]:
    """The stock rows of these (pool, item) that exist."""
    rows = await conn.fetch(
        f"select {_STOCK} from stock join unnest($1::text[], $2::text[]) k(pool, item) using (pool, item)",  # noqa: S608
        *columns(keys, 2),
    )
    return [Stock(**row) for row in rows]


async def save_stock(conn: Connection, rows: Collection[Stock]) -> None:
    """Writes the rows with their shortfall and what is available."""
    await conn.execute(
        f"insert into stock ({_STOCK}, shortfall, available) select * from unnest($1::text[], $2::text[], "  # noqa: S608
        "$3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::boolean[], $9::bigint[], "
        "$10::bigint[]) on conflict (pool, item) do update set on_hand = excluded.on_hand, held = excluded.held, "
        "allocated = excluded.allocated, allotted = excluded.allotted, unconfirmed = excluded.unconfirmed, "
        "closed = excluded.closed, shortfall = excluded.shortfall, available = excluded.available",
        *columns(
            [
                (s.pool, s.item, s.on_hand, s.held, s.allocated, s.allotted, s.unconfirmed, s.closed, s.shortfall,
                 s.available)
                for s in rows
            ],
            10,
        ),
    )  # fmt: skip


def lot_of(row: Any) -> Lot:
    """A lot from its row, which may carry more columns."""
    fields = {name.strip(): row[name.strip()] for name in _LOT.split(",")}
    return Lot(**fields | {"state": LotState(row["state"])})


async def lots(conn: Connection, keys: Collection[Key], named: Collection[UUID]) -> list[Lot]:
    """The lots of these items that have goods, and those that are named."""
    rows = await conn.fetch(
        f"select {_LOT} from lot join unnest($1::text[], $2::text[]) k(pool, item) using (pool, item) "  # noqa: S608
        f"where on_hand > 0 union select {_LOT} from lot where id = any($3::uuid[])",
        *columns(keys, 2),
        list(named),
    )
    return [lot_of(row) for row in rows]


async def save_lots(conn: Connection, rows: Collection[Lot], now: datetime) -> None:
    """Writes the lots; those that are new are received now."""
    await conn.execute(
        f"insert into lot ({_LOT}, received_at) select *, $12::timestamptz from unnest($1::uuid[], $2::text[], "  # noqa: S608
        "$3::text[], $4::text[], $5::bigint[], $6::timestamptz[], $7::timestamptz[], $8::text[], $9::bigint[], "
        "$10::bigint[], $11::bigint[]) on conflict (id) do update set state = excluded.state, "
        "released = excluded.released, rejected = excluded.rejected, on_hand = excluded.on_hand",
        *columns(
            [
                (lot.id, lot.pool, lot.item, lot.household, lot.received, lot.harvested_at, lot.sell_by, lot.state,
                 lot.released, lot.rejected, lot.on_hand)
                for lot in rows
            ],
            11,
        ),
        now,
    )  # fmt: skip


async def allotments(conn: Connection, terminals: Collection[tuple[str, str]]) -> list[Allotment]:
    """All allotments of these (terminal, pool), in order: the ids of movements count through them."""
    rows = await conn.fetch(
        f"select {_ALLOTMENT} from allotment "  # noqa: S608
        "join unnest($1::text[], $2::text[]) k(terminal, pool) using (terminal, pool) order by terminal, pool, item",
        *columns(terminals, 2),
    )
    return [Allotment(**row) for row in rows]


async def save_allotments(conn: Connection, rows: Collection[Allotment]) -> None:
    """Writes the allotments."""
    await conn.execute(
        f"insert into allotment ({_ALLOTMENT}) select * from unnest($1::text[], $2::text[], $3::text[], "  # noqa: S608
        "$4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], "
        "$11::bigint[], $12::timestamptz[], $13::boolean[], $14::boolean[]) "
        "on conflict (terminal, pool, item) do update set granted = excluded.granted, returned = excluded.returned, "
        "sold = excluded.sold, overdrawn = excluded.overdrawn, lost = excluded.lost, allotted = excluded.allotted, "
        "unconfirmed = excluded.unconfirmed, version = excluded.version, lease_until = excluded.lease_until, "
        "counted = excluded.counted, closed = excluded.closed",
        *columns(
            [
                (a.terminal, a.pool, a.item, a.granted, a.returned, a.sold, a.overdrawn, a.lost, a.allotted,
                 a.unconfirmed, a.version, a.lease_until, a.counted, a.closed)
                for a in rows
            ],
            14,
        ),
    )  # fmt: skip


async def sales(conn: Connection, ids: Collection[UUID]) -> list[Sale]:
    """Those of the sales that are known."""
    rows = await conn.fetch("select id, terminal, pool, voided from sale where id = any($1::uuid[])", list(ids))
    return [Sale(**row) for row in rows]


async def save_sales(conn: Connection, rows: Collection[Sale]) -> None:
    """Writes the sales."""
    await conn.execute(
        "insert into sale (id, terminal, pool, voided) "
        "select * from unnest($1::uuid[], $2::text[], $3::text[], $4::boolean[]) "
        "on conflict (id) do update set voided = excluded.voided",
        *columns([(s.id, s.terminal, s.pool, s.voided) for s in rows], 4),
    )


async def save_reasons(conn: Connection, rows: Collection[Explained]) -> None:
    """Writes why things happened, once for each cause."""
    await conn.execute(
        "insert into reason (cause, pool, item, code, note, actor, at) select * from unnest($1::text[], $2::text[], "
        "$3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])",
        *columns(rows, 7),
    )


async def save_catalog(conn: Connection, rows: Collection[tuple[str, str, dict[str, Any]]]) -> None:
    """Writes catalogue entities (kind, id, body) as they stand now."""
    await conn.execute(
        "insert into catalog (kind, id, body) select * from unnest($1::text[], $2::text[], $3::jsonb[]) "
        "on conflict (kind, id) do update set body = excluded.body",
        *columns([(kind, id, orjson.dumps(body).decode()) for kind, id, body in sorted(rows, key=lambda r: r[:2])], 3),
    )
