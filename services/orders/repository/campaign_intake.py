"""Opening campaigns and taking joins, in groups; and what pages of campaigns read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from services.orders.domain.campaign.campaign import Campaign, Tally
from services.orders.domain.campaign.join import Join
from services.orders.domain.order.recipient import Recipient
from services.orders.repository import order_rows
from services.orders.repository.campaign_rows import (
    JOIN,
    JOIN_STANDING,
    STANDING,
    TALLY,
    TERMS,
    campaign_of,
    join_of,
    join_row,
    standing_row,
    tallies,
    tally_row,
    terms_row,
)
from services.orders.repository.order_rows import Connection

Caller = tuple[UUID, str]
"""A campaign and the digits of somebody's phone."""


async def insert_campaign(conn: Connection, campaign: Campaign, digest: bytes) -> bool:
    """Stores a new campaign; whether its id was free. Waits for a concurrent transaction that inserts the same id."""
    columns = {**TERMS, **STANDING, "body_hash": "bytea"}
    row = (*terms_row(campaign.terms), *standing_row(campaign), digest)
    tail = "on conflict (campaign_id) do nothing returning campaign_id"
    new = await order_rows.insert(conn, "campaign", columns, [row], tail)
    if new:
        await order_rows.insert(conn, "campaign_tally", TALLY, [tally_row(campaign.id, Tally(pledged={}))])
    return bool(new)


async def find(conn: Connection, ids: Collection[UUID]) -> dict[UUID, tuple[Campaign, bytes]]:
    """These campaigns as they stand, unlocked, each with the hash of what was asked for. Unknown ids are left out."""
    found = await conn.fetch("select * from campaign where campaign_id = any($1::uuid[])", list(ids))
    return {row["campaign_id"]: (campaign_of(row), row["body_hash"]) for row in found}


async def lock_open(conn: Connection, ids: Collection[UUID], now: datetime) -> dict[UUID, Campaign]:
    """Those of the campaigns whose cutoff lies after `now`, locked FOR SHARE in order of id.

    One past its cutoff takes no joins whatever happens, so it is not locked: late joins cannot keep the cut waiting.
    """
    found = await conn.fetch(
        "select * from campaign where campaign_id = any($1::uuid[]) and closes_at > $2 order by campaign_id for share",
        list(ids),
        now,
    )
    return {row["campaign_id"]: campaign_of(row) for row in found}


async def lock_tallies(conn: Connection, campaigns: Collection[UUID]) -> dict[UUID, Tally]:
    """The tallies of campaigns that are locked already, locked in order of id: their joins now come one by one."""
    return await tallies(conn, campaigns, lock=True)


async def save_tallies(conn: Connection, changed: Mapping[UUID, Tally]) -> None:
    """Writes what the standing joins pledge."""
    found = [tally_row(campaign, tally) for campaign, tally in sorted(changed.items())]
    tail = "on conflict (campaign_id) do update set joined = excluded.joined, standing = excluded.standing, "
    await order_rows.insert(conn, "campaign_tally", TALLY, found, tail + "pledged = excluded.pledged")


async def find_joins(conn: Connection, ids: Collection[UUID]) -> dict[UUID, tuple[Join, bytes]]:
    """These joins as they stand, each with the hash of what was asked for. Unknown ids are left out."""
    found = await conn.fetch("select * from campaign_join where join_id = any($1::uuid[])", list(ids))
    return {row["join_id"]: (join_of(row), row["body_hash"]) for row in found}


async def members(conn: Connection, callers: Collection[Caller]) -> dict[Caller, int]:
    """Who of these callers has joined their campaign already, and as which member."""
    found = await conn.fetch(
        "select campaign_id, caller, min(member) as member from campaign_person "
        "join unnest($1::uuid[], $2::text[]) as w(campaign_id, caller) using (campaign_id, caller) "
        "group by campaign_id, caller",
        [campaign for campaign, _ in callers],
        [caller for _, caller in callers],
    )
    return {(row["campaign_id"], row["caller"]): row["member"] for row in found}


async def insert_joins(
    conn: Connection, joins: Sequence[Join], digests: Mapping[UUID, bytes], people: Mapping[UUID, tuple[str, Recipient]]
) -> None:
    """Stores new joins with their persons, each of these with the digits of the phone."""
    columns = {**order_rows.TERMS, **JOIN, **JOIN_STANDING}
    await order_rows.insert(conn, "campaign_join", columns, [join_row(join, digests[join.id]) for join in joins])
    columns = {**order_rows.RECIPIENT, "campaign_id": "uuid", "caller": "text", "member": "integer"}
    found = []
    for join in joins:
        caller, p = people[join.id]
        who = (join.terms.order, p.name, p.phone, p.address, p.lat, p.lon)
        found.append((*who, join.campaign, caller, join.member))
    await order_rows.insert(conn, "campaign_person", columns, found)


async def keep_conflicts(
    conn: Connection, conflicts: Collection[tuple[UUID, bytes, dict[str, Any]]], now: datetime
) -> None:
    """Keeps other contents that came under the ids of campaigns and joins; each once, without its person."""
    columns = {"id": "uuid", "body_hash": "bytea", "body": "jsonb", "at": "timestamptz"}
    found = [(id, digest, orjson.dumps(body).decode(), now) for id, digest, body in conflicts]
    await order_rows.insert(conn, "campaign_conflict", columns, found, "on conflict do nothing")


async def page_of_joins(conn: Connection, campaign: UUID, after: int, limit: int) -> list[Join]:
    """Up to `limit` joins of a campaign beyond the `after`-th, in log order, nobody named."""
    found = await conn.fetch(
        "select * from campaign_join where campaign_id = $1 and n > $2 order by n limit $3", campaign, after, limit
    )
    return [join_of(row) for row in found]


async def people(conn: Connection, campaign: UUID) -> int:
    """How many different people have a join in the campaign that was not withdrawn."""
    found: int = await conn.fetchval(
        "select count(distinct member) from campaign_join where campaign_id = $1 and state <> 'withdrawn'", campaign
    )
    return found


async def verdict(conn: Connection, campaign: UUID) -> tuple[bytes, bytes] | None:
    """The texts of a verdict's inputs and of itself; None before there is one."""
    row = await conn.fetchrow("select inputs, verdict from campaign_verdict where campaign_id = $1", campaign)
    return (row["inputs"], row["verdict"]) if row else None
