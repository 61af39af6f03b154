"""Accepts joins of campaigns: requests that arrive while a commit runs share the next one, and count against the caps
in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from contracts.values import Fulfilment, Payment
from services.kit.context import Context
from services.kit.http import problems
from services.kit.http.grouped_command import GroupedCommand, Outcome, Submission
from services.kit.http.problems import Problem
from services.kit.transaction.ports import Ports
from services.kit.transaction.unit_of_work import UnitOfWork
from services.orders.commands.members import Accounts, Members, Person
from services.orders.commands.named_receipts import NamedReceipts
from services.orders.commands.place_orders import GROUP, new_codes
from services.orders.commands.refusal import problem_of
from services.orders.domain.campaign.campaign import Campaign, Tally, Terms
from services.orders.domain.campaign.join import Join, accepted
from services.orders.domain.campaign.opening import Pledging, pledge
from services.orders.domain.catalog import Catalog
from services.orders.domain.order.policy import Refusal, Wanted
from services.orders.domain.order.recipient import Recipient
from services.orders.repository.catalog import CatalogCache
from services.orders.repository.store import Caller, Store


@dataclass(frozen=True, slots=True)
class JoinCampaign:
    """A request to join a campaign under an id. `caller` identifies a person within the campaign; `owner` is the
    subject that pledges; `digest` is equal for equal content of one owner in the same campaign; `content` leaves the
    recipient out. `receipt` is the payment of a prepaid one, `PROVIDER:TRANSACTION`; `account` the subject that needs
    a credit. `allowed` says whether the caller may join a campaign of these terms.
    """

    id: UUID
    campaign: UUID
    caller: str
    lines: tuple[Wanted, ...]
    fulfilment: Fulfilment
    payment: Payment
    point: str | None
    recipient: Recipient
    digest: bytes
    content: Mapping[str, Any]
    owner: str | None
    receipt: str | None
    tenant: str
    account: str | None
    allowed: Callable[[Terms], bool]


@dataclass(slots=True)
class CapCounter:
    """The locked campaigns of a group of requests, and the joins counted so far."""

    hold_ttl_s: int
    catalog: Catalog
    campaigns: Mapping[UUID, Campaign]
    tallies: dict[UUID, Tally]
    members: dict[Caller, int]
    receipts: NamedReceipts
    accounts: Accounts
    ports: Ports

    def is_found(self, command: JoinCampaign) -> bool:
        """Return True if there is the campaign, and the caller may join it."""
        campaign = self.campaigns.get(command.campaign)
        return campaign is not None and command.allowed(campaign.terms)

    def count(self, command: JoinCampaign, callers: Sequence[Caller], now: datetime) -> Join | Problem:
        """Count the join against the caps and return it, or the problem of one that is refused. `callers` are all names
        of the person, who counts once under any of them.
        """
        campaign = self.campaigns[command.campaign]
        tally = self.tallies.get(campaign.id, Tally())
        known = [self.members[caller] for caller in callers if caller in self.members]
        requested, member = _requested(command, self.ports), min(known, default=None)
        join = pledge(requested, campaign, tally, member, self.catalog, now, hold_ttl_s=self.hold_ttl_s)
        if isinstance(join, Refusal):
            return problem_of(join)
        refusal = self.receipts.refusal(command.receipt, join.id, join.terms.total_fen)
        if refusal := refusal or self.accounts.charge(join.id, command.account, join.terms.total_fen):
            return problem_of(refusal)
        self.tallies[campaign.id] = tally.with_join(join.terms)
        for caller in callers:
            self.members.setdefault(caller, join.member)
        return join


class JoinCampaigns(GroupedCommand[JoinCampaign, Join]):
    """Validates, prices, counts and stores joins. The same join again gets the same answer, also after the cutoff."""

    def __init__(self, context: Context, catalog: CatalogCache, members: Members, hold_ttl_s: int) -> None:
        super().__init__(context, GROUP)
        self._catalog, self._members, self._hold_ttl_s = catalog, members, hold_ttl_s

    async def run(self, uow: UnitOfWork, submissions: Mapping[UUID, Submission[JoinCampaign]]) -> Outcome[Join]:
        """Read the joins that are stored already, count the others under the locks and insert them."""
        store: Store = uow.store
        receipts = await NamedReceipts.lock(store, [one.command.receipt for one in submissions.values()])
        counter = await self._lock(uow, {one.command.campaign for one in submissions.values()}, receipts)
        found = {id: one.command for id, one in submissions.items() if counter.is_found(one.command)}
        missing = {
            id: problems.not_found(f"campaign {one.command.campaign}")
            for id, one in submissions.items()
            if id not in found
        }
        stored = await store.find_joins(found)
        commands = [command for id, command in found.items() if id not in stored]
        on_account = [
            Person(one.id, one.tenant, counter.campaigns[one.campaign].terms.community, one.recipient.phone)
            for one in commands
            if one.account
        ]
        if on_account:
            counter.accounts = await Accounts.lock(self._members, store, uow.ports, on_account)
        callers = {one.id: self._callers(one) for one in commands}
        counter.members = await store.find_members([name for names in callers.values() for name in names])
        counted = {one.id: counter.count(one, callers[one.id], uow.now) for one in commands}
        joins = await self._with_members(uow, [one for one in counted.values() if isinstance(one, Join)], found)
        await self._insert(uow, joins, submissions, counter.tallies)
        await receipts.use({join.terms.receipt: (join.id, join.terms.total_fen) for join in joins})
        stored |= {join.id: (join, submissions[join.id].command.digest) for join in joins}
        refused = {id: one for id, one in counted.items() if isinstance(one, Problem)}
        return Outcome(stored, missing | refused)

    def _callers(self, command: JoinCampaign) -> list[Caller]:
        """Return the names under which the person may have joined: the owner's or the chat's, and that of the phone."""
        names = filter(None, (command.caller, self._members.name(command.recipient.phone)))
        return [(command.campaign, name) for name in names]

    async def _with_members(
        self, uow: UnitOfWork, joins: Sequence[Join], commands: Mapping[UUID, JoinCampaign]
    ) -> list[Join]:
        persons = []
        for join in joins:
            command = commands[join.id]
            persons.append(Person(join.terms.order, command.tenant, join.terms.community, command.recipient.phone))
        members = await self._members.of(uow.store, uow.ports, persons)
        return [replace(join, terms=replace(join.terms, member=members.get(join.terms.order))) for join in joins]

    async def record_conflicts(self, uow: UnitOfWork, conflicts: Sequence[tuple[JoinCampaign, Join]]) -> None:
        """Count the owner's other contents under a join's id; the first are stored, without their recipients."""
        own = [(one.id, one.digest, one.content) for one, join in conflicts if one.owner == join.terms.owner]
        await uow.store.record_campaign_conflicts(own, uow.now)

    async def _lock(self, uow: UnitOfWork, ids: set[UUID], receipts: NamedReceipts) -> CapCounter:
        """Lock the head rows shared, then read the clock, then lock the tallies: a join that has the head row before
        the cutoff is in time.
        """
        store: Store = uow.store
        catalog = await self._catalog.current(store)
        locked = await store.lock_open_campaigns(ids, uow.clock.now())
        uow.read_clock()
        tallies = await store.lock_tallies(locked)
        closed = {id: found for id, (found, _) in (await store.find_campaigns(ids - locked.keys())).items()}
        return CapCounter(
            self._hold_ttl_s, catalog, locked | closed, tallies, {}, receipts, Accounts({}, {}), uow.ports
        )

    async def _insert(
        self,
        uow: UnitOfWork,
        joins: Sequence[Join],
        submissions: Mapping[UUID, Submission[JoinCampaign]],
        tallies: Mapping[UUID, Tally],
    ) -> None:
        commands = {join.id: submissions[join.id].command for join in joins}
        digests = {id: command.digest for id, command in commands.items()}
        people = {id: (command.caller, command.recipient) for id, command in commands.items()}
        store: Store = uow.store
        await store.insert_joins(joins, digests, people)
        await store.save_tallies({join.campaign: tallies[join.campaign] for join in joins})
        for join in joins:
            uow.emit(accepted(join), origin=submissions[join.id].origin)


def _requested(command: JoinCampaign, ports: Ports) -> Pledging:
    """Return the domain's request, with a new id and code for the order that the join may become."""
    return Pledging(
        join=command.id,
        order=ports.new_id(),
        code=new_codes(1, ports)[0],
        caller=command.caller,
        lines=command.lines,
        fulfilment=command.fulfilment,
        payment=command.payment,
        point=command.point,
        owner=command.owner,
        receipt=command.receipt,
    )
