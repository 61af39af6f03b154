"""Opens group-buys, and withdraws joins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from contracts.values import Principal
from services.kit.context import Context
from services.kit.http import problems
from services.kit.transaction.access_log import log_act
from services.kit.transaction.unit_of_work import UnitOfWork
from services.orders.commands.publish import publish_campaign
from services.orders.commands.refusal import problem_of
from services.orders.domain.access import may_withdraw
from services.orders.domain.campaign import opening
from services.orders.domain.campaign.campaign import Campaign, CampaignState, opened
from services.orders.domain.campaign.join import Join, JoinState, withdraw
from services.orders.domain.order.policy import Refusal
from services.orders.repository.catalog import CatalogCache
from services.orders.repository.store import Store


@dataclass(frozen=True, slots=True)
class OpenCampaign:
    """A request to open a campaign under an id. `digest` is equal for equal content."""

    id: UUID
    opening: opening.Opening
    digest: bytes
    content: Mapping[str, Any]


async def open_campaign(context: Context, catalog: CatalogCache, command: OpenCampaign, caller: Principal) -> Campaign:
    """Open a campaign until its cutoff and return it as it was opened. Idempotent by its id.

    Raises the problem of a refused request; 409 where the id was used for another content, which is recorded if it is
    the leader's own.
    """
    async with context.unit() as uow:
        campaign, digest = await _find_or_open(uow, catalog, command, caller)
        same = digest == command.digest
        if not same and campaign.terms.leader == command.opening.leader:
            conflict = (command.id, command.digest, command.content)
            await uow.store.record_campaign_conflicts([conflict], uow.now)
    if not same:
        used = f"campaign {command.id} was opened with another content: send the same content, or a new id"
        raise problems.conflict(used)
    return Campaign(campaign.terms)


async def _find_or_open(
    uow: UnitOfWork, catalog: CatalogCache, command: OpenCampaign, caller: Principal
) -> tuple[Campaign, bytes]:
    """Return the campaign, opened now or before, and the digest of the request that opened it."""
    store: Store = uow.store
    stored = await store.find_campaigns([command.id])
    if not stored:
        chat_key = uow.ports.token_bytes(32)
        current = await catalog.current(store)
        campaign = opening.open_campaign(command.id, command.opening, chat_key, current, uow.now)
        if isinstance(campaign, Refusal):
            raise problem_of(campaign)
        if await store.insert_campaign(campaign, command.digest):
            publish_campaign(uow, opened(campaign), {})
            await log_act(uow, caller, "open", f"campaign/{campaign.id}")
            return campaign, command.digest
        stored = await store.find_campaigns([command.id])
    return stored[command.id]


async def withdraw_join(context: Context, campaign: UUID, id: UUID, caller: Principal) -> Join:
    """Withdraw a join before the cutoff, with a full refund, and return it. Idempotent.

    Raises a 404 for an unknown join and one that the caller may not withdraw, and a 409 `campaign-closed` after the
    cutoff by the clock under the lock.
    """
    async with context.unit() as uow:
        store: Store = uow.store
        locked = await store.lock_open_campaigns([campaign], uow.clock.now())
        now = uow.read_clock()
        tallies = await store.lock_tallies(locked)
        join, _ = (await store.find_joins([id])).get(id, (None, b""))
        if join is None or join.campaign != campaign or not may_withdraw(caller, join.terms):
            raise problems.not_found(f"join {id} of campaign {campaign}")
        if join.state is JoinState.WITHDRAWN:
            return join
        found = locked.get(campaign)
        if found is None or found.state is not CampaignState.OPEN or now >= found.terms.closes_at:
            closed = f"campaign {campaign} is closed: once it has formed, cancel the order of the join"
            raise problems.conflict(closed, "campaign-closed")
        withdrawn, event = withdraw(join)
        await store.save_tallies({campaign: tallies[campaign].without(join.terms)})
        await store.save_joins([withdrawn])
        uow.emit(event)
        await log_act(uow, caller, "withdraw", f"join/{id}")
        return withdrawn
