"""Ten seeded bugs. The checks know none of them: the invariants alone must detect them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from contracts.events.inventory import ReleaseStock
from services.inventory.domain import reservation
from services.inventory.domain.reservation import Reservation, ReservationState
from services.inventory.domain.reservation import ReservationDecision as Reserving
from services.inventory.domain.stock import Stock
from services.kit.consumer.dedup import Inbox
from services.kit.transaction.outbox import OutboxTable, Row
from services.kit.transaction.unit_of_work import UnitOfWork
from services.orders.commands import join_campaign
from services.orders.commands.join_campaign import CapCounter, JoinCampaigns
from services.orders.domain.campaign.campaign import Tally
from services.orders.domain.campaign.join import Join, JoinState
from services.orders.domain.order import state_machine, transitions
from services.orders.domain.order.order import Cancel, Order, OrderDecision
from tests.simulation import processes
from tests.simulation.processes import Consumer
from tests.simulation.replacements import Replacement
from tests.simulation.stores.kit import TABLES, MemoryOutbox
from tests.simulation.stores.orders import MemoryOrders


def no_inbox() -> list[Replacement]:
    """Every delivery counts as the first. It is recorded all the same, so that nothing seems missing."""
    good = Inbox.before_locks

    async def take(self: Inbox, uow: UnitOfWork, deliveries: Sequence[Any]) -> list[Any]:
        await good(self, uow, deliveries)
        return list(deliveries)

    return [(Inbox, "before_locks", take)]


def cursor_outbox() -> list[Replacement]:
    """The relay continues after the last id that it published, as if ids were committed in order."""
    behind: dict[str, int] = {}
    pages: dict[str, list[int]] = {}

    class Cursor(MemoryOutbox):
        async def page(self, limit: int, _but: Sequence[Row] = ()) -> list[Row]:
            name = self.conn.db.name
            rows = [row for row in await super().page(10**6) if row.id > behind.get(name, 0)][:limit]
            pages[name] = [row.id for row in rows]
            return rows

        async def archive(self, acked: Sequence[tuple[int, int, int]]) -> None:
            await super().archive(acked)
            name = self.conn.db.name
            if {id for id, _, _ in acked} >= set(pages[name]):
                behind[name] = pages[name][-1]

    return [(processes, "TABLES", {**TABLES, OutboxTable: Cursor})]


def ack_before_commit() -> list[Replacement]:
    """Positions are committed when a batch is handed over, not when it is processed."""
    return [(Consumer, "ack_first", True)]


def no_shortfall_rule() -> list[Replacement]:
    """Claims beyond the stock are not reported."""
    return [(Stock, "shortfall", property(lambda _: 0))]


def cancel_out_of_order() -> list[Replacement]:
    """A cancelled order releases its stock while its delivery is still active."""

    def both(order: Order, message: Any, now: Any) -> OrderDecision:
        good = transitions.cancel(order, message, now)
        claim = {"reservation": order.reservation, "pool": order.terms.pool, "order": order.id}
        already = any(isinstance(command, ReleaseStock) for command in good.commands)
        commands = good.commands if already else (ReleaseStock(**claim), *good.commands)
        return OrderDecision(good.order, good.events, commands)

    table = {
        (state, message): state_machine.Step(both, step.to)
        if message is Cancel and step.act is transitions.cancel
        else step
        for (state, message), step in state_machine.TRANSITIONS.items()
    }
    return [(state_machine, "TRANSITIONS", table)]


def expiry_ignoring_commit() -> list[Replacement]:
    """A hold that was made firm meanwhile expires all the same."""
    good = reservation.expire

    def expire(known: Reservation | None, now: Any) -> Reserving:
        if known and known.state is ReservationState.FIRM and known.expires_at is None:
            return reservation._end(known)
        return good(known, now)

    return [(reservation, "expire", expire), (UnitOfWork, "clear_deadline", lambda *_: None)]


def joins_settled_twice() -> list[Replacement]:
    """A part of a group-buy is settled, but its joins are not marked."""

    good = MemoryOrders.save_joins

    async def save_joins(self: MemoryOrders, joins: Collection[Join]) -> None:
        await good(self, [join for join in joins if join.state is not JoinState.REFUNDED])

    return [(MemoryOrders, "save_joins", save_joins)]


def clock_before_the_lock() -> list[Replacement]:
    """The clock that decides if a join is in time is read before its campaign's row is locked."""
    good = JoinCampaigns._lock

    async def lock(self: JoinCampaigns, uow: UnitOfWork, ids: set[UUID]) -> CapCounter:
        before = uow.read_clock()
        counter = await good(self, uow, ids)
        uow._now = before
        return counter

    return [(JoinCampaigns, "_lock", lock)]


def cap_without_a_lock() -> list[Replacement]:
    """Pledges are read before concurrent ones are committed."""
    return [(MemoryOrders, "lock_tallies", MemoryOrders.read_tallies)]


def cap_not_counted() -> list[Replacement]:
    """Each join is checked against the whole cap, as if it were the first."""
    good = join_campaign.pledge

    def pledge(request: Any, campaign: Any, tally: Tally, *more: Any) -> Any:
        return good(request, campaign, replace(tally, pledged={}), *more)

    return [(join_campaign, "pledge", pledge)]


BUGS: dict[str, Callable[[], list[Replacement]]] = {
    "no inbox": no_inbox,
    "cursor outbox": cursor_outbox,
    "ack before commit": ack_before_commit,
    "no shortfall rule": no_shortfall_rule,
    "cancel out of order": cancel_out_of_order,
    "expiry ignoring commit": expiry_ignoring_commit,
    "joins settled twice": joins_settled_twice,
    "clock before the lock": clock_before_the_lock,
    "cap without a lock": cap_without_a_lock,
    "cap not counted": cap_not_counted,
}
