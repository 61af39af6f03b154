"""Group-buys in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from services.kit.database import lock_rows
from services.orders.domain.campaign.campaign import Campaign, Tally
from services.orders.domain.campaign.join import Join, JoinState
from services.orders.domain.order.recipient import Recipient
from services.orders.repository import rows, statements
from services.orders.repository.rows import Conflict
from services.orders.repository.statements import Connection
from services.orders.repository.store import Caller, CampaignStore

_CALLERS = """
with wanted as (
  select campaign_id, caller, case when caller like 'phone:%' then decode(substr(caller, 7), 'hex') end as phone_hash
  from unnest($1::uuid[], $2::text[]) as w(campaign_id, caller)
)
select campaign_id, caller, min(member) as member from (
  select campaign_id, caller, member from campaign_person join wanted using (campaign_id, caller)
  union all
  select campaign_id, caller, j.member from wanted join campaign c using (campaign_id)
  join member m using (community, phone_hash) join campaign_join j using (campaign_id, member_id)
  where j.state = 'pledged'
) as found group by campaign_id, caller
"""


class PostgresCampaigns(CampaignStore):
    """The tables of campaigns and joins."""

    _conn: Connection

    async def lock_campaigns(self, ids: Collection[UUID]) -> list[Campaign]:
        if not ids:
            return []
        found = await lock_rows(self._conn, "campaign", sorted(ids), column="campaign_id")
        return [rows.campaign_of(row) for row in found]

    async def lock_open_campaigns(self, ids: Collection[UUID], now: datetime) -> dict[UUID, Campaign]:
        found = await self._conn.fetch(
            "select * from campaign where campaign_id = any($1::uuid[]) and closes_at > $2 "
            "order by campaign_id for share",
            list(ids),
            now,
        )
        return {row["campaign_id"]: rows.campaign_of(row) for row in found}

    async def find_campaigns(self, ids: Collection[UUID]) -> dict[UUID, tuple[Campaign, bytes]]:
        found = await self._conn.fetch("select * from campaign where campaign_id = any($1::uuid[])", list(ids))
        return {row["campaign_id"]: (rows.campaign_of(row), row["body_hash"]) for row in found}

    async def insert_campaign(self, campaign: Campaign, digest: bytes) -> bool:
        row = rows.campaign_row(campaign) | {"body_hash": digest}
        new = await statements.write(self._conn, statements.CAMPAIGNS, [row])
        if new:
            await self.save_tallies({campaign.id: Tally()})
        return bool(new)

    async def save_campaigns(self, campaigns: Sequence[Campaign]) -> None:
        found = [rows.campaign_row(campaign) for campaign in campaigns]
        await statements.write(self._conn, statements.CAMPAIGN_STATES, found)

    async def insert_verdicts(self, verdicts: Mapping[UUID, tuple[bytes, bytes]], now: datetime) -> None:
        found = [
            {"campaign_id": id, "inputs": inputs, "verdict": verdict, "at": now}
            for id, (inputs, verdict) in verdicts.items()
        ]
        await statements.write(self._conn, statements.VERDICTS, found)

    async def read_tallies(self, campaigns: Collection[UUID]) -> dict[UUID, Tally]:
        statement = "select * from campaign_tally where campaign_id = any($1::uuid[])"
        found = await self._conn.fetch(statement, list(campaigns))
        return {row["campaign_id"]: rows.tally_of(row) for row in found}

    async def lock_tallies(self, campaigns: Collection[UUID]) -> dict[UUID, Tally]:
        found = await lock_rows(self._conn, "campaign_tally", list(campaigns), column="campaign_id")
        return {row["campaign_id"]: rows.tally_of(row) for row in found}

    async def save_tallies(self, tallies: Mapping[UUID, Tally]) -> None:
        found = [rows.tally_row(id, tally) for id, tally in sorted(tallies.items())]
        await statements.write(self._conn, statements.TALLIES, found)

    async def find_joins(self, ids: Collection[UUID]) -> dict[UUID, tuple[Join, bytes]]:
        found = await self._conn.fetch("select * from campaign_join where join_id = any($1::uuid[])", list(ids))
        return {row["join_id"]: (rows.join_of(row), row["body_hash"]) for row in found}

    async def pledged_joins(self, campaigns: Collection[UUID], limit: int | None) -> list[tuple[Join, bytes]]:
        found = await self._conn.fetch(
            "select * from campaign_join where campaign_id = any($1::uuid[]) and state = 'pledged' "
            "order by campaign_id, n limit $2",
            list(campaigns),
            limit,
        )
        return [(rows.join_of(row), row["body_hash"]) for row in found]

    async def find_members(self, callers: Collection[Caller]) -> dict[Caller, int]:
        found = await self._conn.fetch(
            _CALLERS,
            [campaign for campaign, _ in callers],
            [caller for _, caller in callers],
        )
        return {(row["campaign_id"], row["caller"]): row["member"] for row in found}

    async def insert_joins(
        self, joins: Sequence[Join], digests: Mapping[UUID, bytes], people: Mapping[UUID, tuple[str, Recipient]]
    ) -> None:
        await statements.write(self._conn, statements.JOINS, [rows.join_row(join, digests[join.id]) for join in joins])
        persons = []
        for join in joins:
            caller, recipient = people[join.id]
            person = {"campaign_id": join.campaign, "caller": caller, "member": join.member}
            persons.append(rows.recipient_row(join.terms.order, recipient) | person)
        await statements.write(self._conn, statements.CAMPAIGN_PERSONS, persons)

    async def save_joins(self, joins: Collection[Join]) -> None:
        await statements.write(self._conn, statements.JOIN_STATES, [rows.join_state_row(join) for join in joins])
        ended = [join.terms.order for join in joins if join.state is not JoinState.PLEDGED]
        if ended:
            await self._conn.execute("delete from campaign_person where order_id = any($1::uuid[])", ended)
            await self._conn.execute(statements.FORGET, ended, True)

    async def join_recipients(self, orders: Collection[UUID]) -> dict[UUID, Recipient]:
        found = await self._conn.fetch("select * from campaign_person where order_id = any($1::uuid[])", list(orders))
        return {row["order_id"]: rows.recipient_of(row) for row in found}

    async def record_campaign_conflicts(self, conflicts: Sequence[Conflict], now: datetime) -> None:
        if conflicts:
            statement = "select id, body_hash from campaign_conflict where id = any($1::uuid[])"
            stored = await self._conn.fetch(statement, [id for id, _, _ in conflicts])
            found = rows.conflict_rows("id", stored, conflicts, now)
            await statements.write(self._conn, statements.CAMPAIGN_CONFLICTS, found)
