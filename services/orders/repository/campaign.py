"""Loads and saves campaigns, their tallies and joins."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from services.kit.database import lock_rows
from services.kit.faults import point
from services.kit.transaction.identity_map import IdentityMap
from services.orders.domain.campaign.campaign import Campaign, CampaignDecision, CampaignState, Tally
from services.orders.domain.campaign.join import Join, JoinState
from services.orders.domain.order.recipient import Recipient
from services.orders.repository import order, rows, statements
from services.orders.repository.statements import Connection

PART = 200
"""The most joins that one transaction settles, over all its campaigns: their locks are held for a short time."""

Caller = tuple[UUID, str]
"""A campaign and the digits of a person's phone number."""


class CampaignRepository:
    """The campaigns of one transaction, locked, with the joins that the next step needs: all pledged ones of a campaign
    that is cut, up to 200 unsettled ones of those that are judged. `load` them, `record` decisions in memory, `save`.
    """

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._campaigns = IdentityMap[UUID, Campaign](lambda campaign: campaign.id)
        self.tallies: Mapping[UUID, Tally] = {}
        self.joins: dict[UUID, list[Join]] = defaultdict(list)
        self.recipients: Mapping[UUID, Recipient] = {}
        self._digests: dict[UUID, bytes] = {}
        self._decisions: list[tuple[CampaignDecision, str]] = []

    async def load(self, ids: Collection[UUID]) -> None:
        """Lock these campaigns in order of id, then read tallies, joins and recipients. Unknown ids are left out."""
        campaigns = await lock_campaigns(self._conn, ids)
        if not campaigns:
            return
        self._campaigns.load(campaigns)
        self.tallies = await tallies(self._conn, [campaign.id for campaign in campaigns])
        await self._load_joins([campaign.id for campaign in campaigns if campaign.state is CampaignState.CUT], None)
        orders = await self._load_joins([campaign.id for campaign in campaigns if campaign.left], PART)
        if orders:
            self.recipients = await recipients(self._conn, orders)

    async def _load_joins(self, campaigns: Sequence[UUID], limit: int | None) -> list[UUID]:
        """Read joins and return the ids of the orders that they may become."""
        found = await pledged_joins(self._conn, campaigns, limit) if campaigns else []
        for join, digest in found:
            self.joins[join.campaign].append(join)
            self._digests[join.terms.order] = digest
        return [join.terms.order for join, _ in found]

    def get(self, id: UUID) -> Campaign | None:
        """Return the campaign as it is now, None for one that was not loaded."""
        return self._campaigns.get(id)

    def record(self, decision: CampaignDecision, cause: str) -> None:
        """Replace a campaign by its state after a step; `cause` is the id of the message that led to it."""
        if decision.campaign is not self._campaigns[decision.campaign.id]:
            self._campaigns.put(decision.campaign)
            self._decisions.append((decision, cause))

    async def save(self, now: datetime) -> None:
        """Write every change, one statement for each table that has any; new orders with their details."""
        if not self._decisions:
            return
        await self._insert_orders(now)
        if any(decision.joins and not decision.verdict for decision, _ in self._decisions):
            point("campaign.half_way")
        await update_campaigns(self._conn, sorted(self._campaigns.changed, key=lambda campaign: campaign.id))
        await save_joins(self._conn, [join for decision, _ in self._decisions for join in decision.joins])
        verdicts = [
            {"campaign_id": d.campaign.id, "inputs": d.verdict[0], "verdict": d.verdict[1], "at": now}
            for d, _ in self._decisions
            if d.verdict
        ]
        await statements.write(self._conn, statements.VERDICTS, verdicts)

    async def _insert_orders(self, now: datetime) -> None:
        orders = [one for decision, _ in self._decisions for one in decision.orders]
        causes = {one.id: cause for decision, cause in self._decisions for one in decision.orders}
        new = await order.insert_orders(self._conn, orders, self._digests)
        if len(new) != len(orders):
            taken = ", ".join(str(one.id) for one in orders if one.id not in new)
            raise RuntimeError(f"the orders of these joins exist already, expected none: {taken}")
        await order.insert_details(self._conn, orders, self.recipients, causes, now)


async def lock_campaigns(conn: Connection, ids: Collection[UUID]) -> list[Campaign]:
    """Lock these campaigns in order of id and read them. Unknown ids are left out."""
    if not ids:
        return []
    return [rows.campaign_of(row) for row in await lock_rows(conn, "campaign", sorted(ids), column="campaign_id")]


async def insert_campaign(conn: Connection, campaign: Campaign, digest: bytes) -> bool:
    """Insert a new campaign; False where its id is taken. Waits for a concurrent transaction that inserts the same
    id.
    """
    row = rows.campaign_row(campaign) | {"body_hash": digest}
    new = await statements.write(conn, statements.CAMPAIGNS, [row])
    if new:
        await statements.write(conn, statements.TALLIES, [rows.tally_row(campaign.id, Tally())])
    return bool(new)


async def find(conn: Connection, ids: Collection[UUID]) -> dict[UUID, tuple[Campaign, bytes]]:
    """Read these campaigns without locks, each with the digest of its request. Unknown ids are left out."""
    found = await conn.fetch("select * from campaign where campaign_id = any($1::uuid[])", list(ids))
    return {row["campaign_id"]: (rows.campaign_of(row), row["body_hash"]) for row in found}


async def lock_open(conn: Connection, ids: Collection[UUID], now: datetime) -> dict[UUID, Campaign]:
    """Lock those of the campaigns that close after `now` FOR SHARE, in order of id.

    A campaign past its cutoff takes no joins, so it is not locked: late joins cannot delay its cut.
    """
    found = await conn.fetch(
        "select * from campaign where campaign_id = any($1::uuid[]) and closes_at > $2 order by campaign_id for share",
        list(ids),
        now,
    )
    return {row["campaign_id"]: rows.campaign_of(row) for row in found}


async def update_campaigns(conn: Connection, campaigns: Sequence[Campaign]) -> None:
    """Write the state of these campaigns."""
    await statements.write(conn, statements.CAMPAIGN_STATES, [rows.campaign_row(campaign) for campaign in campaigns])


async def tallies(conn: Connection, campaigns: Collection[UUID]) -> dict[UUID, Tally]:
    """Read the tallies of these campaigns."""
    statement = "select * from campaign_tally where campaign_id = any($1::uuid[])"
    return {row["campaign_id"]: rows.tally_of(row) for row in await conn.fetch(statement, list(campaigns))}


async def lock_tallies(conn: Connection, campaigns: Collection[UUID]) -> dict[UUID, Tally]:
    """Lock and read the tallies of campaigns that are locked already, in order of id: it serialises their joins."""
    found = await lock_rows(conn, "campaign_tally", list(campaigns), column="campaign_id")
    return {row["campaign_id"]: rows.tally_of(row) for row in found}


async def save_tallies(conn: Connection, changed: Mapping[UUID, Tally]) -> None:
    """Write the tallies of campaigns."""
    found = [rows.tally_row(id, tally) for id, tally in sorted(changed.items())]
    await statements.write(conn, statements.TALLIES, found)


async def pledged_joins(conn: Connection, campaigns: Sequence[UUID], limit: int | None) -> list[tuple[Join, bytes]]:
    """Read up to `limit` pledged joins of these campaigns in log order, each with the digest of its request."""
    found = await conn.fetch(
        "select * from campaign_join where campaign_id = any($1::uuid[]) and state = 'pledged' "
        "order by campaign_id, n limit $2",
        campaigns,
        limit,
    )
    return [(rows.join_of(row), row["body_hash"]) for row in found]


async def find_joins(conn: Connection, ids: Collection[UUID]) -> dict[UUID, tuple[Join, bytes]]:
    """Read these joins without locks, each with the digest of its request. Unknown ids are left out."""
    found = await conn.fetch("select * from campaign_join where join_id = any($1::uuid[])", list(ids))
    return {row["join_id"]: (rows.join_of(row), row["body_hash"]) for row in found}


async def members(conn: Connection, callers: Collection[Caller]) -> dict[Caller, int]:
    """Return the member number of each of these callers that has joined the campaign already."""
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
    """Insert new joins, and for each (by its id) the digits of the caller's phone number and the recipient."""
    await statements.write(conn, statements.JOINS, [rows.join_row(join, digests[join.id]) for join in joins])
    persons = []
    for join in joins:
        caller, recipient = people[join.id]
        person = {"campaign_id": join.campaign, "caller": caller, "member": join.member}
        persons.append(rows.recipient_row(join.terms.order, recipient) | person)
    await statements.write(conn, statements.CAMPAIGN_PERSONS, persons)


async def save_joins(conn: Connection, joins: Collection[Join]) -> None:
    """Write the state of these joins, and delete the recipients of those that have ended."""
    await statements.write(conn, statements.JOIN_STATES, [rows.join_state_row(join) for join in joins])
    ended = [join.terms.order for join in joins if join.state is not JoinState.PLEDGED]
    if ended:
        await conn.execute("delete from campaign_person where order_id = any($1::uuid[])", ended)


async def recipients(conn: Connection, orders: Sequence[UUID]) -> dict[UUID, Recipient]:
    """Read the recipients of joins by the ids of the orders that they may become."""
    found = await conn.fetch("select * from campaign_person where order_id = any($1::uuid[])", orders)
    return {row["order_id"]: rows.recipient_of(row) for row in found}


async def record_conflicts(
    conn: Connection, conflicts: Iterable[tuple[UUID, bytes, Mapping[str, Any]]], now: datetime
) -> None:
    """Store other contents under the ids of campaigns and joins (id, digest, content without the recipient), each
    once.
    """
    found = [{"id": id, "body_hash": digest, "body": body, "at": now} for id, digest, body in conflicts]
    await statements.write(conn, statements.CAMPAIGN_CONFLICTS, found)
