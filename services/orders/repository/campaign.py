"""The campaigns of one transaction: loaded with their joins under their locks, changed in memory, saved together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from services.kit.transaction.identity_map import IdentityMap
from services.orders.domain.campaign.campaign import Campaign, CampaignDecision, CampaignState, Tally
from services.orders.domain.campaign.join import Join
from services.orders.domain.order.recipient import Recipient
from services.orders.repository.rows import Cause
from services.orders.repository.store import Store

PART = 200
"""The most joins that one transaction settles, over all its campaigns: their locks are held for a short time."""


class CampaignRepository:
    """The campaigns of one transaction, locked, with the joins that the next step needs: all pledged ones of a campaign
    that is cut, up to `part` unsettled ones of those that are judged. `load` them, `record` decisions in memory,
    `save`.

    Crash point: `campaign.half_way`, between the new orders of a part and the end of their joins.
    """

    def __init__(self, store: Store, crash_point: Callable[[str], Any], part: int) -> None:
        self._store, self._crash_point, self._part = store, crash_point, part
        self._campaigns = IdentityMap[UUID, Campaign](lambda campaign: campaign.id)
        self.tallies: Mapping[UUID, Tally] = {}
        self.joins: dict[UUID, list[Join]] = defaultdict(list)
        self.recipients: Mapping[UUID, Recipient] = {}
        self._digests: dict[UUID, bytes] = {}
        self._decisions: list[tuple[CampaignDecision, Cause]] = []

    async def load(self, ids: Collection[UUID]) -> None:
        """Lock these campaigns in order of id, then read tallies, joins and recipients. Unknown ids are left out."""
        campaigns = await self._store.lock_campaigns(ids)
        if not campaigns:
            return
        self._campaigns.load(campaigns)
        self.tallies = await self._store.read_tallies([campaign.id for campaign in campaigns])
        await self._load_joins([campaign.id for campaign in campaigns if campaign.state is CampaignState.CUT], None)
        orders = await self._load_joins([campaign.id for campaign in campaigns if campaign.left], self._part)
        if orders:
            self.recipients = await self._store.join_recipients(orders)

    async def _load_joins(self, campaigns: Sequence[UUID], limit: int | None) -> list[UUID]:
        """Read joins and return the ids of the orders that they may become."""
        found = await self._store.pledged_joins(campaigns, limit) if campaigns else []
        for join, digest in found:
            self.joins[join.campaign].append(join)
            self._digests[join.terms.order] = digest
        return [join.terms.order for join, _ in found]

    def get(self, id: UUID) -> Campaign | None:
        """Return the campaign as it is now, None for one that was not loaded."""
        return self._campaigns.get(id)

    def record(self, decision: CampaignDecision, cause: Cause) -> None:
        """Replace a campaign by its state after a step; `cause` is that of its new orders."""
        if decision.campaign is not self._campaigns[decision.campaign.id]:
            self._campaigns.put(decision.campaign)
            self._decisions.append((decision, cause))

    async def save(self, now: datetime) -> None:
        """Write every change, one statement for each table that has any; new orders with their details."""
        if not self._decisions:
            return
        decisions = [decision for decision, _ in self._decisions]
        await self._insert_orders(now)
        if any(decision.joins and not decision.verdict for decision in decisions):
            self._crash_point("campaign.half_way")
        await self._store.save_campaigns(sorted(self._campaigns.changed, key=lambda campaign: campaign.id))
        await self._store.save_joins([join for decision in decisions for join in decision.joins])
        await self._store.insert_verdicts({one.campaign.id: one.verdict for one in decisions if one.verdict}, now)

    async def _insert_orders(self, now: datetime) -> None:
        orders = [one for decision, _ in self._decisions for one in decision.orders]
        causes = {one.id: cause for decision, cause in self._decisions for one in decision.orders}
        new = await self._store.insert_orders(orders, self._digests)
        if len(new) != len(orders):
            taken = ", ".join(str(one.id) for one in orders if one.id not in new)
            raise RuntimeError(f"the orders of these joins exist already, expected none: {taken}")
        await self._store.insert_details(orders, self.recipients, causes, now)
