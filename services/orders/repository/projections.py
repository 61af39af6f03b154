"""Projections of inventory's events: allotments for the terminals; sold-outs for them and for whoever takes orders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.events.inventory import AllotmentEvent
from services.orders.repository.order_rows import Connection, insert

_ALLOTMENT = {
    "terminal": "text",
    "pool": "text",
    "item": "text",
    "granted_total": "bigint",
    "returned_total": "bigint",
    "version": "bigint",
    "lease_until": "timestamptz",
}
_SOLD_OUT = {"pool": "text", "item": "text", "sold_out": "boolean"}


async def save_allotments(conn: Connection, allotments: Mapping[tuple[str, str, str], AllotmentEvent]) -> None:
    """Takes over cumulative totals; a version that is not newer than what stands changes nothing."""
    rows = [
        (*key, event.granted_total, event.returned_total, event.version, event.lease_until)
        for key, event in sorted(allotments.items())
    ]
    await insert(
        conn,
        "terminal_allotment",
        _ALLOTMENT,
        rows,
        "on conflict (terminal, pool, item) do update set granted_total = excluded.granted_total, "
        "returned_total = excluded.returned_total, version = excluded.version, lease_until = excluded.lease_until "
        "where terminal_allotment.version < excluded.version",
    )


async def save_sold_out(conn: Connection, sold_out: Mapping[tuple[str, str], bool]) -> None:
    """Takes over which items of which pools are sold out, for whoever takes orders to see."""
    if not sold_out:
        return
    rows = [(*key, value) for key, value in sorted(sold_out.items())]
    tail = "on conflict (pool, item) do update set sold_out = excluded.sold_out"
    await insert(conn, "item_sold_out", _SOLD_OUT, rows, tail)
    await conn.execute("update catalog_version set sold_out_version = sold_out_version + 1")


async def allotment_of(conn: Connection, terminal: str, pool: str) -> list[dict[str, Any]]:
    """By item: what was granted and returned so far with the version, and what the terminal has sold.

    `left = granted_total - returned_total - sold_total`; sales not uploaded yet are the terminal's own to subtract.
    """
    found = await conn.fetch(
        "with sold as (select l.item, sum(l.quantity) as quantity from stall_sale_line l "
        "where l.terminal = $1 and l.pool = $2 and not exists (select from stall_void v where v.sale = l.sale) "
        "group by l.item) "
        "select item, coalesce(granted_total, 0) as granted_total, coalesce(returned_total, 0) as returned_total, "
        "coalesce(version, 0) as version, lease_until, coalesce(sold.quantity, 0)::bigint as sold_total "
        "from (select * from terminal_allotment where terminal = $1 and pool = $2) a full join sold using (item) "
        "order by item",
        terminal,
        pool,
    )
    return [dict(row) for row in found]


async def sold_out(conn: Connection) -> frozenset[tuple[str, str]]:
    """Every (pool, item) that is sold out."""
    found = await conn.fetch("select pool, item from item_sold_out where sold_out")
    return frozenset((row["pool"], row["item"]) for row in found)


async def sold_out_in(conn: Connection, pool: str) -> list[str]:
    """The items that are sold out in a pool."""
    found = await conn.fetch("select item from item_sold_out where pool = $1 and sold_out order by item", pool)
    return [row["item"] for row in found]
