"""The campaigns of one transaction: what is known of them, and how what becomes of them is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from contracts.events.campaign import JoinRefunded
from services.kit.database import lock_rows
from services.kit.faults import point
from services.kit.transaction.unit_of_work import UnitOfWork
from services.orders.commands.publish import CAMPAIGN, announce, remind
from services.orders.domain.campaign.campaign import Campaign, CampaignDecision, CampaignState, Tally
from services.orders.domain.campaign.join import Join
from services.orders.domain.order.recipient import Recipient
from services.orders.domain.order.state_machine import placed
from services.orders.repository import campaign_rows, order_intake, order_rows

PART = 200
"""Joins that one transaction settles, over all its campaigns: what others wait for stays short."""


class Campaigns:
    """The campaigns that messages name, locked, with as many of their joins as the next step needs: all standing ones
    of a campaign that is cut, up to 200 unsettled ones of those that are judged.
    """

    def __init__(self, uow: UnitOfWork) -> None:
        self.uow = uow
        self.found: dict[UUID, Campaign] = {}
        self.tallies: dict[UUID, Tally] = {}
        self.joins: dict[UUID, list[Join]] = defaultdict(list)
        self._people: dict[UUID, Recipient] = {}
        self._hashes: dict[UUID, bytes] = {}
        self._decisions: list[tuple[CampaignDecision, str]] = []

    async def load(self, ids: Collection[UUID]) -> None:
        """Locks these campaigns in order of id and reads what hangs on them. Unknown ids are left out."""
        if not ids:
            return
        conn = self.uow.conn
        self.found = {campaign.id: campaign for campaign in await _lock(conn, ids)}
        if not self.found:
            return
        self.tallies = await campaign_rows.tallies(conn, self.found)
        await self._read_joins([c.id for c in self.found.values() if c.state is CampaignState.CUT], None)
        part = await self._read_joins([c.id for c in self.found.values() if c.left], PART)
        if part:
            self._people = await _people(conn, part)

    async def _read_joins(self, campaigns: Sequence[UUID], limit: int | None) -> list[UUID]:
        """The orders that the joins read may become."""
        found = await _pledged(self.uow.conn, campaigns, limit) if campaigns else []
        for join, digest in found:
            self.joins[join.campaign].append(join)
            self._hashes[join.terms.order] = digest
        return [join.terms.order for join, _ in found]

    def keep(self, decision: CampaignDecision) -> None:
        """Takes over a decision: what it tells goes to the outbox, a new deadline is set, `save` writes the rest."""
        campaign = decision.campaign
        for event in decision.events:
            self.uow.emit(event, part=str(event.join) if isinstance(event, JoinRefunded) else "")
        for order in decision.orders:
            announce(self.uow, placed(order))
            if order.terms.is_delivery:
                self.uow.emit(self._people[order.id].event(order))
        for command in decision.commands:  # last: what is released here the orders have drawn on before
            self.uow.emit(command)
        if decision.deadline is not None:
            remind(self.uow, CAMPAIGN, str(campaign.id), decision.deadline)
        if campaign is not self.found[campaign.id]:
            self.found[campaign.id] = campaign
            cause = self.uow.cause
            self._decisions.append((decision, str(cause.id) if cause else ""))

    async def save(self) -> None:
        """Writes every change, one statement for each table that has any."""
        if not self._decisions:
            return
        conn, now = self.uow.conn, self.uow.now
        await self._save_orders()
        if any(decision.joins and not decision.verdict for decision, _ in self._decisions):
            point("campaign.half_way")
        await _update(conn, [self.found[id] for id in sorted({d.campaign.id for d, _ in self._decisions})])
        await campaign_rows.save_joins(conn, [join for decision, _ in self._decisions for join in decision.joins])
        columns = {"campaign_id": "uuid", "inputs": "bytea", "verdict": "bytea", "at": "timestamptz"}
        verdicts = [(d.campaign.id, *d.verdict, now) for d, _ in self._decisions if d.verdict]
        await order_rows.insert(conn, "campaign_verdict", columns, verdicts)

    async def _save_orders(self) -> None:
        causes = {order.id: cause for decision, cause in self._decisions for order in decision.orders}
        orders = [order for decision, _ in self._decisions for order in decision.orders]
        new = await order_intake.insert_orders(self.uow.conn, orders, self._hashes)
        if len(new) != len(orders):
            raise RuntimeError("an order of a join exists already")
        people = {order.id: self._people[order.id] for order in orders}
        await order_intake.insert_details(self.uow.conn, orders, people, causes, self.uow.now)


async def _lock(conn: order_rows.Connection, ids: Collection[UUID]) -> list[Campaign]:
    heads = await lock_rows(conn, "campaign", sorted(ids), column="campaign_id")
    return [campaign_rows.campaign_of(head) for head in heads]


async def _pledged(
    conn: order_rows.Connection, campaigns: Sequence[UUID], limit: int | None
) -> list[tuple[Join, bytes]]:
    found = await conn.fetch(
        "select * from campaign_join where campaign_id = any($1::uuid[]) and state = 'pledged' "
        "order by campaign_id, n limit $2",
        campaigns,
        limit,
    )
    return [(campaign_rows.join_of(row), row["body_hash"]) for row in found]


async def _people(conn: order_rows.Connection, orders: Sequence[UUID]) -> dict[UUID, Recipient]:
    found = await conn.fetch("select * from campaign_person where order_id = any($1::uuid[])", orders)
    names = ("name", "phone", "address", "lat", "lon")
    return {row["order_id"]: Recipient(*(row[name] for name in names)) for row in found}


async def _update(conn: order_rows.Connection, campaigns: Sequence[Campaign]) -> None:
    columns = {"campaign_id": "uuid", **campaign_rows.STANDING}
    changes = ", ".join(f"{name} = r.{name}" for name in campaign_rows.STANDING)
    values: list[tuple[Any, ...]] = [(c.id, *campaign_rows.standing_row(c)) for c in campaigns]
    await conn.execute(
        f"update campaign set {changes} from {order_rows.unnest(columns)} as r({', '.join(columns)}) "  # noqa: S608
        "where campaign.campaign_id = r.campaign_id",
        *map(list, zip(*values, strict=True)),
    )
