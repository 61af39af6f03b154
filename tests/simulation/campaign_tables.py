"""The tables of group-buys in memory: a replacement for each function of their repository."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from services.orders.domain.campaign.campaign import Campaign, Tally
from services.orders.domain.campaign.join import Join, JoinState
from services.orders.domain.order.recipient import Recipient
from services.orders.repository import campaign as campaigns
from services.orders.repository.campaign import Caller
from tests.simulation.memory import Reader, Transaction


async def insert_campaign(conn: Transaction, campaign: Campaign, digest: bytes) -> bool:
    await conn.statement()
    await conn.lock("campaign", campaign.id)
    if conn.get("campaign", campaign.id):
        return False
    times = {
        name: getattr(campaign.terms, name).astimezone(UTC) for name in ("closes_at", "day_closes_at", "opened_at")
    }
    conn.put("campaign", campaign.id, (replace(campaign, terms=replace(campaign.terms, **times)), digest))
    conn.put("campaign_tally", campaign.id, Tally(pledged={}))
    return True


async def find(conn: Reader, ids: Collection[UUID]) -> dict[UUID, tuple[Campaign, bytes]]:
    await conn.statement()
    return {id: row for id in ids if (row := conn.get("campaign", id))}


async def lock_open(conn: Transaction, ids: Collection[UUID], now: datetime) -> dict[UUID, Campaign]:
    await conn.statement()
    found = {}
    for id in sorted(ids):
        row = conn.get("campaign", id)
        if row and row[0].terms.closes_at > now:
            await conn.lock("campaign", id, shared=True)
            found[id] = conn.get("campaign", id)[0]
    return found


async def lock(conn: Transaction, ids: Collection[UUID]) -> list[Campaign]:
    if not ids:
        return []
    await conn.statement()
    known = sorted(id for id in ids if conn.get("campaign", id))
    await conn.lock_all("campaign", known)
    return [conn.get("campaign", id)[0] for id in known]


async def tallies(conn: Any, ids: Collection[UUID]) -> dict[UUID, Tally]:
    await conn.statement()
    return {id: tally for id in sorted(ids) if (tally := conn.get("campaign_tally", id))}


async def save_tallies(conn: Transaction, changed: Mapping[UUID, Tally]) -> None:
    for id, tally in sorted(changed.items()):
        conn.put("campaign_tally", id, tally)


async def find_joins(conn: Reader, ids: Collection[UUID]) -> dict[UUID, tuple[Join, bytes]]:
    await conn.statement()
    return {id: row for id in ids if (row := conn.get("campaign_join", id))}


async def members(conn: Reader, callers: Collection[Caller]) -> dict[Caller, int]:
    await conn.statement()
    found: dict[Caller, int] = {}
    for _, caller, member in conn.rows("campaign_person").values():
        if caller in callers:
            found[caller] = min(member, found.get(caller, member))
    return found


async def insert_joins(
    conn: Transaction,
    joins: Sequence[Join],
    digests: Mapping[UUID, bytes],
    people: Mapping[UUID, tuple[str, Recipient]],
) -> None:
    await conn.statement()
    for join in joins:
        caller, person = people[join.id]
        await conn.lock("campaign_join", join.id)
        times = {name: getattr(join.terms, name).astimezone(UTC) for name in ("due_by", "closes_at", "placed_at")}
        conn.insert("campaign_join", join.id, (replace(join, terms=replace(join.terms, **times)), digests[join.id]))
        conn.put("campaign_person", join.terms.order, (person, (join.campaign, caller), join.member))


async def record_conflicts(
    conn: Transaction, conflicts: Collection[tuple[UUID, bytes, dict[str, Any]]], _now: datetime
) -> None:
    for id, digest, body in conflicts:
        conn.put("campaign_conflict", (id, digest), body)


async def pledged_joins(conn: Reader, ids: Sequence[UUID], limit: int | None) -> list[tuple[Join, bytes]]:
    await conn.statement()
    rows: Any = conn.rows("campaign_join").values()
    active = [row for row in rows if row[0].campaign in ids and row[0].state is JoinState.PLEDGED]
    return sorted(active, key=lambda row: (row[0].campaign, row[0].n))[:limit]


async def recipients(conn: Reader, orders: Sequence[UUID]) -> dict[UUID, Recipient]:
    await conn.statement()
    return {order: row[0] for order in orders if (row := conn.get("campaign_person", order))}


async def update(conn: Transaction, changed: Sequence[Campaign]) -> None:
    await conn.statement()
    for campaign in changed:
        conn.put("campaign", campaign.id, (campaign, conn.get("campaign", campaign.id)[1]))


async def save_joins(conn: Transaction, joins: Collection[Join]) -> None:
    if not joins:
        return
    await conn.statement()
    for join in joins:
        assert 0 <= join.refunded_fen <= join.terms.total_fen, "the table's check on money"
        conn.put("campaign_join", join.id, (join, conn.get("campaign_join", join.id)[1]))
        if join.state is not JoinState.PLEDGED:
            conn.delete("campaign_person", join.terms.order)


async def lock_tallies(conn: Transaction, ids: Collection[UUID]) -> dict[UUID, Tally]:
    await conn.statement()
    known = sorted(id for id in ids if conn.get("campaign_tally", id))
    await conn.lock_all("campaign_tally", known)
    return {id: conn.get("campaign_tally", id) for id in known}


SEAMS: tuple[tuple[Any, str, Any], ...] = (
    (campaigns, "insert_campaign", insert_campaign),
    (campaigns, "find", find),
    (campaigns, "lock_open", lock_open),
    (campaigns, "lock_campaigns", lock),
    (campaigns, "update_campaigns", update),
    (campaigns, "tallies", tallies),
    (campaigns, "lock_tallies", lock_tallies),
    (campaigns, "save_tallies", save_tallies),
    (campaigns, "find_joins", find_joins),
    (campaigns, "members", members),
    (campaigns, "insert_joins", insert_joins),
    (campaigns, "pledged_joins", pledged_joins),
    (campaigns, "save_joins", save_joins),
    (campaigns, "recipients", recipients),
    (campaigns, "record_conflicts", record_conflicts),
)
