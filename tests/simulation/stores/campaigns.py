"""The tables of group-buys in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import asyncpg

from services.orders.domain.campaign.campaign import Campaign, Tally
from services.orders.domain.campaign.join import Join, JoinState
from services.orders.domain.order.recipient import Recipient
from services.orders.repository import rows
from services.orders.repository.rows import Conflict
from services.orders.repository.store import PHONE, Caller, CampaignStore
from tests.simulation.memory import Transaction

V = TypeVar("V")


def in_utc(value: V) -> V:
    """Return a dataclass as PostgreSQL returns it: instants in UTC."""
    found: Any = value
    times = {f.name: at.astimezone(UTC) for f in fields(found) if isinstance(at := getattr(value, f.name), datetime)}
    return replace(found, **times)  # type: ignore[no-any-return]


def check(condition: bool, what: str) -> None:
    """Raise the server's error on a check that a row does not pass."""
    if not condition:
        raise asyncpg.CheckViolationError(what)


def forget(conn: Transaction, member: UUID) -> None:
    """Forget a member without an order or join that has a person."""
    orders: Any = conn.rows("recipient")
    joins: Any = conn.rows("campaign_join").values()
    has_order = any(conn.get("orders", id)[0].terms.member == member for (id,) in orders)
    pledged = [join.terms.order for join, _ in joins if join.terms.member == member]
    if not has_order and not any(conn.get("campaign_person", id) for id in pledged):
        for key in [key for key, id in conn.rows("member").items() if id == member]:
            conn.delete("member", key)


class MemoryCampaigns(CampaignStore):
    """The tables of campaigns and joins; a campaign and a join are stored with the digest of their request."""

    _conn: Transaction

    async def lock_campaigns(self, ids: Collection[UUID]) -> list[Campaign]:
        if not ids:
            return []
        await self._conn.statement()
        known = sorted(id for id in ids if self._conn.get("campaign", id))
        await self._conn.lock_all("campaign", known)
        return [self._conn.get("campaign", id)[0] for id in known]

    async def lock_open_campaigns(self, ids: Collection[UUID], now: datetime) -> dict[UUID, Campaign]:
        await self._conn.statement()
        found = {}
        for id in sorted(ids):
            row = self._conn.get("campaign", id)
            if row and row[0].terms.closes_at > now:
                await self._conn.lock("campaign", id, shared=True)
                found[id] = self._conn.get("campaign", id)[0]
        return found

    async def find_campaigns(self, ids: Collection[UUID]) -> dict[UUID, tuple[Campaign, bytes]]:
        await self._conn.statement()
        return {id: row for id in ids if (row := self._conn.get("campaign", id))}

    async def insert_campaign(self, campaign: Campaign, digest: bytes) -> bool:
        await self._conn.statement()
        await self._conn.lock("campaign", campaign.id)
        if self._conn.get("campaign", campaign.id):
            return False
        self._conn.put("campaign", campaign.id, (replace(campaign, terms=in_utc(campaign.terms)), digest))
        self._conn.put("campaign_tally", campaign.id, Tally(pledged={}))
        return True

    async def save_campaigns(self, campaigns: Sequence[Campaign]) -> None:
        await self._conn.statement()
        for campaign in campaigns:
            check(campaign.left >= 0, "campaign.unsettled")
            self._conn.put("campaign", campaign.id, (campaign, self._conn.get("campaign", campaign.id)[1]))

    async def insert_verdicts(self, verdicts: Mapping[UUID, tuple[bytes, bytes]], now: datetime) -> None:
        if verdicts:
            await self._conn.statement()
        for id, (inputs, verdict) in verdicts.items():
            row = {"campaign_id": id, "inputs": inputs, "verdict": verdict, "at": now}
            self._conn.insert("campaign_verdict", (id,), row)

    async def read_tallies(self, campaigns: Collection[UUID]) -> dict[UUID, Tally]:
        await self._conn.statement()
        return {id: tally for id in sorted(campaigns) if (tally := self._conn.get("campaign_tally", id))}

    async def lock_tallies(self, campaigns: Collection[UUID]) -> dict[UUID, Tally]:
        await self._conn.statement()
        known = sorted(id for id in campaigns if self._conn.get("campaign_tally", id))
        await self._conn.lock_all("campaign_tally", known)
        return {id: self._conn.get("campaign_tally", id) for id in known}

    async def save_tallies(self, tallies: Mapping[UUID, Tally]) -> None:
        for id, tally in sorted(tallies.items()):
            await self._conn.lock("campaign_tally", id)
            self._conn.put("campaign_tally", id, tally)

    async def find_joins(self, ids: Collection[UUID]) -> dict[UUID, tuple[Join, bytes]]:
        await self._conn.statement()
        return {id: row for id in ids if (row := self._conn.get("campaign_join", id))}

    async def pledged_joins(self, campaigns: Collection[UUID], limit: int | None) -> list[tuple[Join, bytes]]:
        await self._conn.statement()
        rows: Any = self._conn.rows("campaign_join").values()
        active = [row for row in rows if row[0].campaign in campaigns and row[0].state is JoinState.PLEDGED]
        return sorted(active, key=lambda row: (row[0].campaign, row[0].n))[:limit]

    async def find_members(self, callers: Collection[Caller]) -> dict[Caller, int]:
        await self._conn.statement()
        found: dict[Caller, int] = {}
        for _, caller, member in self._conn.rows("campaign_person").values():
            if caller in callers:
                found[caller] = min(member, found.get(caller, member))
        hashes: Any = {id: phone_hash for (_, phone_hash, _), id in self._conn.rows("member").items()}  # type: ignore[misc]
        for join, _ in self._conn.rows("campaign_join").values():
            caller = (
                (join.campaign, f"{PHONE}{hashes[join.terms.member].hex()}") if join.terms.member in hashes else None
            )
            if caller in callers and join.state is JoinState.PLEDGED:
                found[caller] = min(join.member, found.get(caller, join.member))
        return found

    async def insert_joins(
        self, joins: Sequence[Join], digests: Mapping[UUID, bytes], people: Mapping[UUID, tuple[str, Recipient]]
    ) -> None:
        await self._conn.statement()
        for join in joins:
            caller, recipient = people[join.id]
            await self._conn.lock("campaign_join", join.id)
            row = (replace(join, terms=in_utc(join.terms)), digests[join.id])
            self._conn.insert("campaign_join", join.id, row)
            if join.terms.receipt:
                self._conn.insert("campaign_join_receipt", join.terms.receipt, join.id)
            self._conn.insert("campaign_person", join.terms.order, (recipient, (join.campaign, caller), join.member))

    async def save_joins(self, joins: Collection[Join]) -> None:
        if joins:
            await self._conn.statement()
        for join in joins:
            check(0 <= join.refunded_fen <= join.terms.total_fen, "campaign_join.refunded_fen")
            self._conn.put("campaign_join", join.id, (join, self._conn.get("campaign_join", join.id)[1]))
            if join.state is not JoinState.PLEDGED:
                self._conn.delete("campaign_person", join.terms.order)
        for member in {join.terms.member for join in joins if join.state is not JoinState.PLEDGED} - {None}:
            if not self._conn.get("member_row", member).credit.allowed:
                forget(self._conn, member)

    async def join_recipients(self, orders: Collection[UUID]) -> dict[UUID, Recipient]:
        await self._conn.statement()
        return {order: row[0] for order in orders if (row := self._conn.get("campaign_person", order))}

    async def record_campaign_conflicts(self, conflicts: Sequence[Conflict], now: datetime) -> None:
        stored: Any = [{"id": id, "body_hash": digest} for id, digest in self._conn.rows("campaign_conflict")]  # type: ignore[misc]
        for row in rows.conflict_rows("id", stored, conflicts, now):
            key = row["id"], row["body_hash"]
            before = self._conn.get("campaign_conflict", key) or {"seen": 0}
            self._conn.put("campaign_conflict", key, row | {"seen": before["seen"] + row["seen"]})
