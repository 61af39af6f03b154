"""The queries of pages and lists; none of them locks."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from services.orders.domain.campaign.join import Join
from services.orders.domain.catalogue_views import Visible
from services.orders.domain.order.order import UNKEPT
from services.orders.repository import rows
from services.orders.repository.statements import Connection

Found = list[dict[str, Any]]
_ENTRIES = """
select id, body from catalog
where kind = $1 and id > $2 and ($3::text is null or case $3 when 'id' then id else body ->> $3 end = any($4::text[]))
order by id limit $5
"""


async def orders(
    conn: Connection,
    state: str | None,
    market_day: str | None,
    communities: Collection[str] | None,
    after: UUID,
    limit: int,
) -> Found:
    """Read up to `limit` orders with ids beyond `after`, in order of id; of a state, a market day and communities where
    given.
    """
    found = await conn.fetch(
        "select order_id, state, version, channel, market_day, community, pool, fulfilment, payment, total_fen, "
        "paid_fen, refunded_fen, reason, wave, placed_at from orders where order_id > $1 "
        "and ($2::text is null or state = $2) and ($3::text is null or market_day = $3) "
        "and ($4::text[] is null or community = any($4)) order by order_id limit $5",
        after,
        state,
        market_day,
        None if communities is None else list(communities),
        limit,
    )
    return [dict(row) for row in found]


async def order_history(conn: Connection, order: UUID, *, trusted: bool) -> Found:
    """Read every step of an order, in order; with actor and note where `trusted`. Empty for an unknown order."""
    found = await conn.fetch(
        "select n, from_state, to_state, message, cause, reason, at, actor, note from order_history "
        "left join order_note using (order_id, n) where order_id = $1 order by n",
        order,
    )
    return [{name: value for name, value in row.items() if trusted or name not in {"actor", "note"}} for row in found]


async def last_step(conn: Connection, order: UUID) -> datetime:
    """Read the business time of an order's last step."""
    found: datetime = await conn.fetchval("select max(at) from order_history where order_id = $1", order)
    return found


async def recipient(conn: Connection, order: UUID) -> dict[str, Any] | None:
    """Read the recipient of an order; None once erased."""
    row = await conn.fetchrow("select name, phone, address, lat, lon from recipient where order_id = $1", order)
    return dict(row) if row else None


async def answered_orders(conn: Connection, orders: Collection[UUID]) -> set[UUID]:
    """Return those of these orders that have left `placed`, or do not exist."""
    found = await conn.fetch(
        "select order_id from orders where order_id = any($1::uuid[]) and state = 'placed'", list(orders)
    )
    return set(orders) - {row["order_id"] for row in found}


async def erasures(conn: Connection, after: UUID, limit: int) -> Found:
    """Read up to `limit` erasures of orders with ids beyond `after`, in order of id."""
    found = await conn.fetch(
        "select order_id, erased_at, erased_by, why from erased where order_id > $1 order by order_id limit $2",
        after,
        limit,
    )
    return [dict(row) for row in found]


async def joins(conn: Connection, campaign: UUID, after: int, limit: int) -> list[Join]:
    """Read up to `limit` joins of a campaign beyond the `after`-th, in log order."""
    found = await conn.fetch(
        "select * from campaign_join where campaign_id = $1 and n > $2 order by n limit $3", campaign, after, limit
    )
    return [rows.join_of(row) for row in found]


async def joins_of(conn: Connection, campaign: UUID, owner: str) -> set[UUID]:
    """Return the ids of an owner's joins of a campaign."""
    statement = "select join_id from campaign_join where campaign_id = $1 and owner = $2"
    return {row["join_id"] for row in await conn.fetch(statement, campaign, owner)}


async def people(conn: Connection, campaign: UUID) -> int:
    """Count the different people with a join of the campaign that was not withdrawn."""
    found: int = await conn.fetchval(
        "select count(distinct member) from campaign_join where campaign_id = $1 and state <> 'withdrawn'", campaign
    )
    return found


async def verdict(conn: Connection, campaign: UUID) -> tuple[bytes, bytes] | None:
    """Read the stored texts of a verdict's inputs and result; None before there is one."""
    row = await conn.fetchrow("select inputs, verdict from campaign_verdict where campaign_id = $1", campaign)
    return (row["inputs"], row["verdict"]) if row else None


async def catalog_entry(conn: Connection, kind: str, id: str) -> tuple[dict[str, Any], int] | None:
    """Return an entity's body with its id, and its version."""
    row = await conn.fetchrow("select body, version from catalog where kind = $1 and id = $2", kind, id)
    return (_with_id(id, row["body"]), row["version"]) if row else None


async def catalog_entries(conn: Connection, kind: str, shown: Visible, after: str, limit: int) -> Found:
    """Return up to `limit` of the visible entities of a kind with ids beyond `after`, in order of id."""
    found = await conn.fetch(_ENTRIES, kind, after, shown.field, list(shown.values), limit)
    return [_with_id(row["id"], row["body"]) for row in found]


def _with_id(id: str, text: str) -> dict[str, Any]:
    body = orjson.loads(text)
    return {"id": id, **(body if isinstance(body, dict) else {})}  # an unreadable entry is shown as it is stored


async def receipts(
    conn: Connection, state: str | None, communities: Collection[str] | None, after: int, limit: int
) -> Found:
    """Read up to `limit` receipts beyond the `after`-th, in order of arrival: of a state (`conflict`: those with other
    contents, `excess`: those with more than is due), and of orders in communities where given. Each with the contents
    that came under its transaction later.
    """
    found = await conn.fetch(
        "select r.*, f.order_id is not null as given_back, coalesce(c.others, '[]') as others from receipt r "
        "left join orders o on o.order_id = coalesce(r.pays, r.order_id) "
        "left join refund f on f.order_id = r.pays and f.payment_id = r.provider || ':' || r.transaction_id "
        "left join lateral (select jsonb_agg(jsonb_build_object('order_id', order_id, 'amount_fen', amount_fen, "
        "'currency', currency, 'paid_at', paid_at, 'received_at', received_at, 'seen', seen) order by received_at) "
        "as others from receipt_conflict c where (c.provider, c.transaction_id) = (r.provider, r.transaction_id)) c "
        "on true where r.n > $3 and ($2::text[] is null or o.community = any($2)) "
        "and ($1::text is null or $1 in (r.state, r.reason) or ($1 = 'conflict' and c.others is not null)) "
        "order by r.n limit $4",
        state,
        None if communities is None else list(communities),
        after,
        limit,
    )
    return [{**row, "others": orjson.loads(row["others"])} for row in map(dict, found)]


_MEMBERS = """
select m.member_id, m.community, m.credit, m.limit_fen, m.subject, m.created_at, m.phone_hash is null as forgotten,
  coalesce((select sum(o.total_fen - o.paid_fen + o.refunded_fen) from orders o where o.member_id = m.member_id
    and o.payment = 'on_account' and o.state <> all($1::text[])), 0)::bigint
  + coalesce((select sum(j.total_fen) from campaign_join j where j.member_id = m.member_id
    and j.payment = 'on_account' and j.state = 'pledged'), 0)::bigint as owed_fen
from member m where
"""


async def members(conn: Connection, community: str, after: UUID, limit: int) -> Found:
    """Read up to `limit` members of a community with ids beyond `after`, in order of id, with what they owe."""
    where = "m.community = $2 and m.member_id > $3 order by m.member_id limit $4"
    return [dict(row) for row in await conn.fetch(f"{_MEMBERS} {where}", [*UNKEPT], community, after, limit)]


async def member(conn: Connection, id: UUID) -> dict[str, Any] | None:
    """Read a member, with what it owes; None for an unknown one."""
    row = await conn.fetchrow(f"{_MEMBERS} m.member_id = $2", [*UNKEPT], id)
    return dict(row) if row else None
