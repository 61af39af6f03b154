"""The book of orders: what one transaction knows of them, and how their changes are written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from contracts.events.inventory import AllotmentEvent, ClaimsExceeded
from services.kit.database import lock_rows
from services.kit.transaction.message import DeadlineReached, Message
from services.kit.transaction.unit_of_work import CORRELATION, UnitOfWork
from services.orders.commands.publish import announce
from services.orders.domain.order.order import Order, OrderDecision
from services.orders.domain.order.state_machine import decide
from services.orders.repository import order_rows
from services.orders.repository.campaign import Campaigns
from services.orders.repository.projections import save_allotments, save_sold_out


class OrderRepository:
    """The orders of one transaction, locked. Handlers are synchronous: load first, `apply`, then `save`.

    It also has the campaigns that messages name, and takes the two projections that come on the same topic as stock
    answers: allotments and sold-outs.
    """

    def __init__(self, uow: UnitOfWork) -> None:
        self.uow = uow
        self.orders: dict[UUID, Order] = {}
        self.allotments: dict[tuple[str, str, str], AllotmentEvent] = {}
        self.sold_out: dict[tuple[str, str], bool] = {}
        self.campaigns = Campaigns(uow)
        self._before: dict[UUID, Order] = {}
        self._history: list[tuple[Any, ...]] = []
        self._notes: list[tuple[Any, ...]] = []

    async def load(self, messages: Sequence[Message[Any]]) -> None:
        """Locks and reads every order that the messages name: three statements, however many there are; then, of the
        ids that are no order's, the campaigns.
        """
        ids = {id for message in messages for id in named(message.data)}
        await self.load_orders(ids)
        await self.campaigns.load(ids - self.orders.keys())

    async def load_orders(self, ids: Collection[UUID]) -> None:
        """Locks these orders in order of id, then reads their lines and money. Unknown ids are left out."""
        if not ids:
            return
        heads = await lock_rows(self.uow.conn, "orders", sorted(ids), column="order_id")
        self.orders = {order.id: order for order in await _whole(self.uow.conn, heads)}
        self._before = dict(self.orders)

    def apply(self, order: UUID, message: Any) -> OrderDecision | None:
        """Lets the order decide on the message and keeps what follows; None for an order that is not ours.

        Events and commands go to the outbox, the deadline is set anew where it changed, a step becomes history.
        """
        before = self.orders.get(order)
        if before is None:
            return None
        decision = decide(before, message, self.uow.now)
        if decision.step:
            self._keep(before, decision, message)
        return decision

    def _keep(self, before: Order, decision: OrderDecision, message: Any) -> None:
        after, cause = decision.order, self.uow.cause
        self.orders[after.id] = after
        name = cause.type if cause else type(message).__name__.lower()
        why = str(cause.id) if cause else (CORRELATION.get() or "")
        step = (after.id, after.version, before.state, after.state, name, why, after.reason, self.uow.now)
        self._history.append(step)
        if note := getattr(message, "note", ""):
            self._notes.append((after.id, after.version, note))
        announce(self.uow, decision)

    async def save(self) -> None:
        """Writes every change, one statement for each table that has any."""
        changed = [after for id, after in sorted(self.orders.items()) if after is not self._before[id]]
        await _update(self.uow.conn, changed)
        await order_rows.insert(self.uow.conn, "order_history", order_rows.HISTORY, self._history)
        await order_rows.insert(self.uow.conn, "order_note", order_rows.NOTE, self._notes)
        await self._save_money(changed)
        await save_allotments(self.uow.conn, self.allotments)
        await save_sold_out(self.uow.conn, self.sold_out)
        await self.campaigns.save()

    async def _save_money(self, changed: Iterable[Order]) -> None:
        paid, refunded = [], []
        for order in changed:
            known = {money.payment: money for money in self._before[order.id].money}
            for money in order.money:
                row = (order.id, money.payment, money.amount_fen, self.uow.now)
                if money.payment not in known:
                    paid.append(row)
                if money.refunded and not (money.payment in known and known[money.payment].refunded):
                    refunded.append(row)
        await order_rows.insert(self.uow.conn, "payment", order_rows.MONEY, paid)
        await order_rows.insert(self.uow.conn, "refund", order_rows.MONEY, refunded)


def named(data: Any) -> tuple[UUID, ...]:
    """The orders, or the campaign, that a message is about."""
    match data:
        case DeadlineReached():
            return (UUID(data.subject),)
        case ClaimsExceeded():
            return tuple(data.orders)
        case _:
            order = getattr(data, "order", None)
            return (order,) if isinstance(order, UUID) else ()


async def find(conn: order_rows.Connection, ids: Collection[UUID]) -> dict[UUID, tuple[Order, bytes]]:
    """These orders as they stand, unlocked, each with the hash of what was asked for. Unknown ids are left out."""
    heads = await conn.fetch("select * from orders where order_id = any($1::uuid[]) order by order_id", list(ids))
    orders = await _whole(conn, heads)
    return {order.id: (order, head["body_hash"]) for order, head in zip(orders, heads, strict=True)}


async def _whole(conn: order_rows.Connection, heads: Sequence[asyncpg.Record]) -> list[Order]:
    if not heads:
        return []
    ids = [head["order_id"] for head in heads]
    lines: dict[UUID, list[asyncpg.Record]] = defaultdict(list)
    for row in await conn.fetch(
        "select * from order_line where order_id = any($1::uuid[]) order by order_id, line", ids
    ):
        lines[row["order_id"]].append(row)
    money: dict[UUID, list[asyncpg.Record]] = defaultdict(list)
    for row in await conn.fetch(
        "select p.order_id, p.payment_id, p.amount_fen, r.order_id is not null as refunded "
        "from payment p left join refund r using (order_id, payment_id) "
        "where p.order_id = any($1::uuid[]) order by p.order_id, p.at, p.payment_id",
        ids,
    ):
        money[row["order_id"]].append(row)
    return [order_rows.order_of(head, lines[head["order_id"]], money[head["order_id"]]) for head in heads]


async def _update(conn: order_rows.Connection, orders: Sequence[Order]) -> None:
    if not orders:
        return
    columns = {"order_id": "uuid", **order_rows.STANDING}
    changes = ", ".join(f"{name} = r.{name}" for name in order_rows.STANDING)
    await conn.execute(
        f"update orders set {changes} from {order_rows.unnest(columns)} as r({', '.join(columns)}) "  # noqa: S608
        "where orders.order_id = r.order_id",
        *map(list, zip(*((order.id, *order_rows.standing_row(order)) for order in orders), strict=True)),
    )
