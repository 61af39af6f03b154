"""Places orders: requests that arrive while a commit runs share the next one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from services.kit.context import Context
from services.kit.http.grouped_command import GroupedCommand, Outcome, Submission
from services.kit.transaction.ports import Ports
from services.kit.transaction.unit_of_work import UnitOfWork
from services.orders.commands.hold_quota import HoldQuota
from services.orders.commands.members import Accounts, Members, Person
from services.orders.commands.named_receipts import NamedReceipts
from services.orders.commands.publish import publish_new_order
from services.orders.commands.refusal import problem_of
from services.orders.domain.hold import Holder, HoldLimits, Quotas
from services.orders.domain.order.order import Order
from services.orders.domain.order.policy import Draft, Refusal, price_order
from services.orders.domain.order.recipient import Recipient
from services.orders.repository.catalog import CatalogCache
from services.orders.repository.rows import Cause
from services.orders.repository.store import Store

GROUP = 200


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """A request of the subject `actor` to place an order under an id. `digest` is equal for equal content; `content`
    leaves the recipient out. `holder`: of an unpaid order that counts against a quota.
    """

    id: UUID
    draft: Draft
    recipient: Recipient
    digest: bytes
    content: Mapping[str, Any]
    actor: str
    tenant: str
    holder: Holder | None = None


class PlaceOrders(GroupedCommand[PlaceOrder, Order]):
    """Validates, prices and stores orders, and publishes them with the command that reserves their stock."""

    def __init__(
        self, context: Context, catalog: CatalogCache, members: Members, hold_ttl_s: int, limits: HoldLimits
    ) -> None:
        super().__init__(context, GROUP, concurrency=2)
        self._catalog, self._members, self._hold_ttl_s, self._limits = catalog, members, hold_ttl_s, limits

    async def run(self, uow: UnitOfWork, submissions: Mapping[UUID, Submission[PlaceOrder]]) -> Outcome[Order]:
        """Insert the orders that can be taken; of those with a taken id, read the stored order."""
        store: Store = uow.store
        commands = {id: submission.command for id, submission in submissions.items()}
        named = {one.draft.receipt for one in commands.values()} - {None}
        receipts = await NamedReceipts.lock(store, named) if named else None
        on_account = [_person(one) for one in commands.values() if one.draft.account]
        accounts = await Accounts.lock(self._members, store, uow.ports, on_account) if on_account else None
        catalog = await self._catalog.current(store)
        priced: dict[UUID, Order | Refusal] = {}
        for (id, command), code in zip(commands.items(), new_codes(len(commands), uow.ports), strict=True):
            order = price_order(id, code, command.draft, catalog, uow.now, self._hold_ttl_s)
            priced[id] = _checked(order, command.draft, receipts, accounts)
        quotas = self._quotas(priced, submissions)
        holds = HoldQuota(store, quotas) if quotas else None
        if holds:
            priced |= await holds.refuse()
        valid = await self._with_members(uow, [one for one in priced.values() if isinstance(one, Order)], submissions)
        inserted = await self._insert(uow, valid, submissions)
        if holds:
            await holds.count(order.id for order in inserted)
        if receipts:
            await receipts.use({order.terms.receipt: (order.id, order.terms.total_fen) for order in inserted})
        stored = {order.id: (order, submissions[order.id].command.digest) for order in inserted}
        others = [id for id in submissions if id not in stored]
        if others:
            stored |= await store.find_orders(others)
        refused = {id: problem_of(found) for id, found in priced.items() if isinstance(found, Refusal)}
        return Outcome(stored, refused)

    def _quotas(
        self, priced: Mapping[UUID, Order | Refusal], submissions: Mapping[UUID, Submission[PlaceOrder]]
    ) -> dict[UUID, Quotas]:
        holders = ((id, order, submissions[id].command.holder) for id, order in priced.items())
        return {
            id: self._limits.quotas(holder, order.terms.pool)
            for id, order, holder in holders
            if holder is not None and isinstance(order, Order)
        }

    async def _with_members(
        self, uow: UnitOfWork, orders: Sequence[Order], submissions: Mapping[UUID, Submission[PlaceOrder]]
    ) -> list[Order]:
        persons = [_person(submissions[order.id].command) for order in orders]
        members = await self._members.of(uow.store, uow.ports, persons)
        return [replace(order, terms=replace(order.terms, member=members.get(order.id))) for order in orders]

    async def record_conflicts(self, uow: UnitOfWork, conflicts: Sequence[tuple[PlaceOrder, Order]]) -> None:
        """Count the owner's other contents under an order's id; the first are stored, without their recipients."""
        own = [one for one, order in conflicts if one.draft.owner == order.terms.owner]
        await uow.store.record_order_conflicts([(one.id, one.digest, one.content) for one in own], uow.now)

    async def _insert(
        self, uow: UnitOfWork, valid: Sequence[Order], submissions: Mapping[UUID, Submission[PlaceOrder]]
    ) -> list[Order]:
        digests = {id: submission.command.digest for id, submission in submissions.items()}
        store: Store = uow.store
        new = await store.insert_orders(valid, digests)
        inserted = [order for order in valid if order.id in new]
        recipients = {order.id: submissions[order.id].command.recipient for order in inserted}
        given = [submissions[order.id] for order in inserted]
        causes = {one.command.id: Cause(one.origin.correlation or "", one.command.actor) for one in given}
        await store.insert_details(inserted, recipients, causes, uow.now)
        for order in inserted:
            publish_new_order(uow, order, recipients[order.id], submissions[order.id].origin)
        return inserted


def new_codes(count: int, ports: Ports) -> list[str]:
    """Return random codes of six digits, drawn in one call: asking the system for each costs more than the rest."""
    drawn = ports.token_bytes(8 * count)
    return [f"{int.from_bytes(drawn[at : at + 8]) % 1_000_000:06}" for at in range(0, len(drawn), 8)]


def _person(command: PlaceOrder) -> Person:
    return Person(command.id, command.tenant, command.draft.community, command.recipient.phone)


def _checked(
    order: Order | Refusal, draft: Draft, receipts: NamedReceipts | None, accounts: Accounts | None
) -> Order | Refusal:
    """Return the priced order, or the reason against the way in which it is to be paid."""
    if isinstance(order, Refusal):
        return order
    refusal = receipts.refusal(draft.receipt, order.id, order.terms.total_fen) if receipts else None
    if accounts and not refusal:
        refusal = accounts.charge(order.id, draft.account, order.terms.total_fen)
    return refusal or order
