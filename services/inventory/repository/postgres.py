"""The store of inventory on PostgreSQL: one statement for each read, and for each table that is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from contracts.events.inventory import Reason
from services.inventory.domain.allotment import Allotment
from services.inventory.domain.lot import Lot
from services.inventory.domain.reservation import Reservation
from services.inventory.domain.sale import Sale
from services.inventory.domain.shortfall import Claimant
from services.inventory.domain.stock import Move, Stock
from services.inventory.repository import rows, statements
from services.inventory.repository.load_set import Key
from services.inventory.repository.store import StockChanges, StockStore
from services.kit.database import Connection, lock_rows

_NEW_POOLS = "insert into pool select p from unnest($1::text[]) p order by p on conflict do nothing"
_RESERVATIONS_OF = "select * from reservation where id = any($1::uuid[])"
_SALES_OF = "select * from sale where id = any($1::uuid[])"
_HISTORY = "select * from movement where cause = any($1::text[]) order by n"
_CATALOG_ENTRY = "select body from catalog where kind = $1 and id = $2"
_STOCK_OF = "select stock.* from stock join unnest($1::text[], $2::text[]) k(pool, item) using (pool, item)"
_LOTS_OF = """
select lot.* from lot join unnest($1::text[], $2::text[]) k(pool, item) using (pool, item) where on_hand > 0
union select * from lot where id = any($3::uuid[])
"""
_ALLOTMENTS_OF = """
select allotment.* from allotment
join unnest($1::text[], $2::text[]) k(terminal, pool) using (terminal, pool) order by terminal, pool, item
"""
_DOUBTED = "select * from allotment where pool = $1 and item = $2 and doubted > 0 order by terminal"
_UNITS = "select id, body ->> 'unit' as unit from catalog where kind = 'item' and id = any($1::text[])"
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
_CHANGE_SINCE = """
select coalesce(sum(case when target = 'on_hand' then quantity else -quantity end), 0)::bigint from movement
where pool = $1 and item = $2 and ($3::uuid is null or lot = $3) and at > $4 and 'on_hand' in (source, target)
"""
_LOT_VIEW = """
select id as lot_id, pool, item, household, state, received as quantity, released, rejected, on_hand, harvested_at,
  sell_by, received_at, (select code from reason where cause = 'inspection/' || lot.id) as reason
from lot where id = $1
"""


class PostgresStock(StockStore):
    """The store over one connection."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    async def lock_pools(self, pools: Collection[str]) -> None:
        found = await lock_rows(self._conn, "pool", pools, column="pool", type_="text")
        if len(found) < len(pools):
            await self._conn.execute(_NEW_POOLS, sorted(pools))
            await lock_rows(self._conn, "pool", pools, column="pool", type_="text")

    async def read_stock(self, keys: Collection[Key]) -> list[Stock]:
        return [rows.stock_of(row) for row in await self._conn.fetch(_STOCK_OF, *rows.arrays(keys, 2))]

    async def read_lots(self, keys: Collection[Key], named: Collection[UUID]) -> list[Lot]:
        return [rows.lot_of(row) for row in await self._conn.fetch(_LOTS_OF, *rows.arrays(keys, 2), list(named))]

    async def read_reservations(self, ids: Collection[UUID]) -> list[Reservation]:
        heads = await self._conn.fetch(_RESERVATIONS_OF, list(ids))
        if not heads:
            return []
        lines: dict[UUID, list[Any]] = defaultdict(list)
        for row in await self._conn.fetch(_LINES_OF, [head["id"] for head in heads]):
            lines[row["reservation"]].append(row)
        return [rows.reservation_of(head, lines[head["id"]]) for head in heads]

    async def read_allotments(self, terminals: Collection[tuple[str, str]]) -> list[Allotment]:
        found = await self._conn.fetch(_ALLOTMENTS_OF, *rows.arrays(terminals, 2))
        return [rows.allotment_of(row) for row in found]

    async def read_doubted(self, pool: str, item: str) -> list[Allotment]:
        return [rows.allotment_of(row) for row in await self._conn.fetch(_DOUBTED, pool, item)]

    async def read_units(self, items: Collection[str]) -> dict[str, str]:
        found = await self._conn.fetch(_UNITS, list(items))
        return {row["id"]: row["unit"] for row in found if row["unit"]}

    async def read_sales(self, ids: Collection[UUID]) -> list[Sale]:
        return [rows.sale_of(row) for row in await self._conn.fetch(_SALES_OF, list(ids))]

    async def read_claimants(self, upto: Mapping[Key, int]) -> dict[Key, list[Claimant]]:
        found: dict[Key, list[Claimant]] = defaultdict(list)
        limits = rows.arrays([(*key, quantity) for key, quantity in upto.items()], 3)
        for row in await self._conn.fetch(_CLAIMANTS, *limits):
            found[row["pool"], row["item"]].append(rows.claimant_of(row))
        return dict(found)

    async def read_history(self, causes: Collection[str]) -> dict[str, list[Move]]:
        found: dict[str, list[Move]] = defaultdict(list)
        for row in await self._conn.fetch(_HISTORY, list(causes)):
            found[row["cause"]].append(rows.move_of(row))
        return dict(found)

    async def read_inferred(self, pool: str, item: str, lot: UUID | None) -> list[Move]:
        return [rows.move_of(row) for row in await self._conn.fetch(_INFERRED, pool, item, lot)]

    async def read_reasons(self, causes: Collection[str]) -> dict[str, Reason]:
        found = await self._conn.fetch("select cause, code from reason where cause = any($1::text[])", list(causes))
        return {row["cause"]: Reason(row["code"]) for row in found}

    async def read_change_since(self, pool: str, item: str, lot: UUID | None, since: datetime) -> int:
        change: int = await self._conn.fetchval(_CHANGE_SINCE, pool, item, lot, since)
        return change

    async def read_lot_view(self, id: UUID) -> dict[str, Any] | None:
        row = await self._conn.fetchrow(_LOT_VIEW, id)
        return None if row is None else dict(row)

    async def read_catalog_entry(self, kind: str, id: str) -> dict[str, Any] | None:
        body = await self._conn.fetchval(_CATALOG_ENTRY, kind, id)
        found = orjson.loads(body) if body is not None else None
        return found if found is None or isinstance(found, dict) else {}  # no object: its contract then refuses it

    async def save(self, changes: StockChanges) -> None:
        for statement, values in (
            (statements.STOCK, changes.stock),
            (statements.LOTS, changes.lots),
            (statements.RESERVATIONS, changes.reservations),
            (statements.RESERVATION_LINES, rows.lines_of(changes.reservations)),
            (statements.ALLOTMENTS, changes.allotments),
            (statements.SALES, changes.sales),
            (statements.MOVEMENTS, changes.movements),
            (statements.EXPLANATIONS, changes.explanations),
            (statements.CATALOG, changes.catalog),
        ):
            if values:  # no rows, no round trip
                await self._conn.execute(statement, rows.to_json(values))
