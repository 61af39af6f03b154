"""The tables of orders in memory: orders, the catalogue, stalls; and group-buys, from their own module."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from contracts.events.catalog import CatalogEvent, MarketDayPut, SitePut
from contracts.events.inventory import AllotmentEvent
from contracts.values import Payment
from services.orders.domain.campaign.join import JoinState
from services.orders.domain.catalog import Unreadable
from services.orders.domain.member import Account, Credit, Member, Sought
from services.orders.domain.order.order import UNKEPT, Order, OrderState
from services.orders.domain.order.recipient import Recipient
from services.orders.domain.payment import Notice, Receipt
from services.orders.domain.stall import Sale, Stall
from services.orders.repository import rows
from services.orders.repository.rows import Cause, Conflict, Row
from services.orders.repository.store import (
    CatalogStore,
    MemberStore,
    OrderStore,
    PaymentStore,
    ReceiptKey,
    StallStore,
    Store,
)
from tests.simulation.memory import Transaction
from tests.simulation.stores.campaigns import MemoryCampaigns, check, forget, in_utc

HOUR = timedelta(hours=1)


class _Orders(OrderStore):
    """The tables of orders; an order is stored with the digest of its request."""

    _conn: Transaction

    def _insert(self, table: str, key: tuple[str, ...], found: Iterable[Row]) -> None:
        for row in found:
            self._conn.insert(table, tuple(row[name] for name in key), row)

    async def lock_orders(self, ids: Collection[UUID]) -> list[Order]:
        if not ids:
            return []
        await self._conn.statement()
        known = [id for id in sorted(ids) if self._conn.get("orders", id)]
        await self._conn.lock_all("orders", known)
        return [self._conn.get("orders", id)[0] for id in known]

    async def find_orders(self, ids: Collection[UUID]) -> dict[UUID, tuple[Order, bytes]]:
        await self._conn.statement()
        return {id: row for id in ids if (row := self._conn.get("orders", id))}

    async def insert_orders(self, orders: Iterable[Order], digests: Mapping[UUID, bytes]) -> set[UUID]:
        await self._conn.statement()
        new = set()
        for order in sorted(orders, key=lambda order: order.id):
            await self._conn.lock("orders", order.id)
            if self._conn.get("orders", order.id) is None:
                self._conn.put("orders", order.id, (replace(order, terms=in_utc(order.terms)), digests[order.id]))
                if order.terms.receipt:
                    self._conn.insert("orders_receipt", order.terms.receipt, order.id)
                new.add(order.id)
        return new

    async def insert_details(
        self,
        orders: Sequence[Order],
        recipients: Mapping[UUID, Recipient],
        causes: Mapping[UUID, Cause],
        now: datetime,
    ) -> None:
        if not orders:
            return
        await self._conn.statement()
        history = (rows.step_row(order, None, "accepted", causes[order.id], now) for order in orders)
        self._insert("order_history", ("order_id", "n"), history)
        money = (rows.money_row(order.id, money, now) for order in orders for money in order.money)
        self._insert("payment", ("order_id", "payment_id"), money)
        self._insert("recipient", ("order_id",), (rows.recipient_row(one.id, recipients[one.id]) for one in orders))

    async def save_orders(
        self,
        orders: Sequence[Order],
        steps: Sequence[Row],
        notes: Sequence[Row],
        payments: Sequence[Row],
        refunds: Sequence[Row],
    ) -> None:
        await self._conn.statement()
        for order in orders:
            check(0 <= order.refunded_fen <= order.paid_fen, "orders.refunded_fen")
            self._conn.put("orders", order.id, (order, self._conn.get("orders", order.id)[1]))
        await self._conn.statement()
        self._insert("order_history", ("order_id", "n"), steps)
        self._insert("order_note", ("order_id", "n"), notes)
        self._insert("payment", ("order_id", "payment_id"), payments)
        self._insert("refund", ("order_id", "payment_id"), refunds)

    async def count_holds(self, holders: Collection[str]) -> dict[str, int]:
        if not holders:
            return {}
        await self._conn.statement()
        await self._conn.lock_all("holder", sorted(holders))
        await self._conn.statement()
        open_ = {OrderState.PLACED, OrderState.HELD}
        keys: Any = self._conn.rows("hold")
        found = Counter(
            one for one, order in keys if one in holders and self._conn.get("orders", order)[0].state in open_
        )
        return dict(found)

    async def insert_holds(self, holds: Sequence[tuple[str, UUID]]) -> None:
        if holds:
            await self._conn.statement()
        for key in holds:
            self._conn.insert("hold", key, True)

    async def record_order_conflicts(self, conflicts: Sequence[Conflict], now: datetime) -> None:
        stored: Any = [{"order_id": id, "body_hash": digest} for id, digest in self._conn.rows("order_conflict")]  # type: ignore[misc]
        for row in rows.conflict_rows("order_id", stored, conflicts, now):
            key = row["order_id"], row["body_hash"]
            before = self._conn.get("order_conflict", key) or {"seen": 0}
            self._conn.put("order_conflict", key, row | {"seen": before["seen"] + row["seen"]})

    async def count_wrong_codes(self, order: UUID, now: datetime) -> int:
        found, since = self._conn.get("code_try", order) or (0, now)
        return found if since > now - HOUR else 0

    async def add_wrong_code(self, order: UUID, now: datetime) -> int:
        found = await self.count_wrong_codes(order, now)
        since = self._conn.get("code_try", order)[1] if found else now
        self._conn.put("code_try", order, (found + 1, since))
        return found + 1

    async def erase_person(self, order: UUID, by: str, why: str) -> dict[str, Any]:
        conn = self._conn
        record = conn.get("erased", order)
        if not record:
            record = {"order_id": order, "erased_at": datetime.now(UTC), "erased_by": by, "why": why}
            conn.put("erased", order, record)
        conn.delete("recipient", (order,))
        conn.delete("campaign_person", order)
        for key in [key for key in conn.rows("order_note") if key[0] == order]:  # type: ignore[index]
            conn.delete("order_note", key)
        if row := conn.get("orders", order):
            conn.put("orders", order, (replace(row[0], terms=replace(row[0].terms, code="")), row[1]))
        for id, (join, digest) in list(conn.rows("campaign_join").items()):
            if join.terms.order == order:
                conn.put("campaign_join", id, (replace(join, terms=replace(join.terms, code="")), digest))
        if row and row[0].terms.member:
            forget(conn, row[0].terms.member)
        return record  # type: ignore[no-any-return]


class _Payments(PaymentStore):
    """Receipts of payment providers, and their conflicts by notice."""

    _conn: Transaction

    async def insert_receipt(self, receipt: Receipt) -> bool:
        await self._conn.statement()
        await self._conn.lock("receipt", receipt.notice.key)
        if self._conn.get("receipt", receipt.notice.key):
            return False
        self._conn.put("receipt", receipt.notice.key, receipt)
        return True

    async def find_receipts(self, keys: Collection[ReceiptKey]) -> dict[ReceiptKey, Receipt]:
        await self._conn.statement()
        return {key: receipt for key in keys if (receipt := self._conn.get("receipt", key))}

    async def lock_receipts(self, keys: Collection[ReceiptKey]) -> dict[ReceiptKey, Receipt]:
        if not keys:
            return {}
        known = sorted(await self.find_receipts(keys))
        await self._conn.lock_all("receipt", known)
        return {key: self._conn.get("receipt", key) for key in known}

    async def save_receipts(self, receipts: Sequence[Receipt]) -> None:
        for receipt in receipts:
            self._conn.put("receipt", receipt.notice.key, receipt)

    async def record_receipt_conflict(self, notice: Notice, now: datetime) -> None:
        await self._conn.statement()
        self._conn.put("receipt_conflict", notice, (self._conn.get("receipt_conflict", notice) or 0) + 1)


class _Members(MemberStore):
    """The members that are not forgotten, by community, hash and tenant."""

    _conn: Transaction

    async def find_or_make_members(self, sought: Sequence[Sought]) -> dict[UUID, UUID]:
        if not sought:
            return {}
        await self._conn.statement()
        found = {}
        for one in sorted(sought, key=lambda one: (one.community, one.phone_hash, one.tenant)):
            key = (one.community, one.phone_hash, one.tenant)
            if one.makes and not self._conn.get("member", key) and not self._conn.get("orders", one.order):
                await self._conn.lock("member", key)
                if not self._conn.get("member", key):
                    self._conn.put("member", key, one.member)
            if known := self._conn.get("member", key):
                found[one.order] = known
                if not self._conn.get("member_row", known):
                    now = datetime.now(UTC)
                    self._conn.put("member_row", known, Member(known, one.tenant, one.community, now, Credit()))
        return found

    async def lock_accounts(self, members: Collection[UUID]) -> dict[UUID, Account]:
        found = {id: await self.lock_member(id) for id in sorted(members)}
        return {id: Account(member.credit, self._owed(id)) for id, member in found.items() if member}

    def _owed(self, member: UUID) -> int:
        orders: Any = self._conn.rows("orders").values()
        joins: Any = self._conn.rows("campaign_join").values()
        owing = [
            one.terms.total_fen - one.paid_fen + one.refunded_fen
            for one, _ in orders
            if (one.terms.member, one.terms.payment) == (member, Payment.ON_ACCOUNT) and one.state not in UNKEPT
        ]
        pledged = [
            one.terms.total_fen
            for one, _ in joins
            if (one.terms.member, one.terms.payment) == (member, Payment.ON_ACCOUNT) and one.state is JoinState.PLEDGED
        ]
        return sum(owing) + sum(pledged)

    async def lock_member(self, id: UUID) -> Member | None:
        await self._conn.statement()
        if not self._conn.get("member_row", id):
            return None
        await self._conn.lock("member_row", id)
        known = id in self._conn.rows("member").values()
        return replace(self._conn.get("member_row", id), is_forgotten=not known)  # type: ignore[no-any-return]

    async def save_credit(self, id: UUID, credit: Credit) -> None:
        await self._conn.statement()
        self._conn.put("member_row", id, replace(self._conn.get("member_row", id), credit=credit))


class _Catalog(CatalogStore):
    """The tables of the catalogue; an entry is stored with its version."""

    _conn: Transaction

    async def catalog_versions(self) -> tuple[int, int]:
        await self._conn.statement()
        return self._conn.get("catalog_version", 0) or (0, 0)

    async def read_catalog(self) -> list[CatalogEvent | Unreadable]:
        return [entity for entity, _ in self._conn.rows("catalog").values()]

    async def read_sold_out(self) -> frozenset[tuple[str, str]]:
        return frozenset(key for key, sold_out in self._conn.rows("item_sold_out").items() if sold_out)  # type: ignore[misc]

    async def sold_out_items(self, pool: str) -> list[str]:
        return sorted(item for where, item in await self.read_sold_out() if where == pool)

    async def save_sold_out(self, sold_out: Mapping[tuple[str, str], bool]) -> None:
        for key, value in sorted(sold_out.items()):
            await self._conn.lock("item_sold_out", key)
            self._conn.put("item_sold_out", key, value)
        if sold_out:
            await self._grow(0, 1)

    async def upsert_entry(self, kind: str, entity: CatalogEvent, now: datetime) -> tuple[bool, int]:
        await self._conn.statement()
        await self._conn.lock("catalog", (kind, entity.id))
        known, version = self._conn.get("catalog", (kind, entity.id)) or (None, 0)
        if known == entity:
            return False, version
        self._conn.put("catalog", (kind, entity.id), (entity, version + 1))
        await self._grow(1, 0)
        return True, version + 1

    async def _grow(self, catalog: int, sold_out: int) -> None:
        await self._conn.lock("catalog_version", 0)
        versions = self._conn.get("catalog_version", 0) or (0, 0)
        self._conn.put("catalog_version", 0, (versions[0] + catalog, versions[1] + sold_out))

    def _entities(self, kind: str) -> list[Any]:
        found = sorted((key, row[0]) for key, row in self._conn.rows("catalog").items())
        return [entity for (of, _), entity in found if of == kind]  # type: ignore[misc]

    async def find_entry(self, kind: str, id: str) -> CatalogEvent | None:
        await self._conn.statement()
        found = self._conn.get("catalog", (kind, id))
        return found[0] if found else None

    async def sites_of(self, station: str) -> list[SitePut]:
        await self._conn.statement()
        return [site for site in self._entities("sites") if site.station == station]

    async def missing_entries(self, references: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        await self._conn.statement()
        return {key for key in references if not self._conn.get("catalog", key)}

    async def waves_of_others(self, market_day: str, waves: Collection[str]) -> dict[str, str]:
        await self._conn.statement()
        await self._conn.lock("catalog_version", 0)
        days: list[MarketDayPut] = self._entities("market-days")
        others = [(wave.id, day.id) for day in days if day.id != market_day for wave in day.waves]
        return {wave: day for wave, day in others if wave in waves}


class _Stalls(StallStore):
    """The tables of stalls; a sale's lines are in its upload."""

    _conn: Transaction

    async def lock_terminal(self, terminal: str) -> dict[str, Any] | None:
        await self._conn.statement()
        if not self._conn.get("catalog", ("terminals", terminal)):
            return None
        await self._conn.lock("catalog", ("terminals", terminal))
        return self._conn.get("catalog", ("terminals", terminal))[0].model_dump(mode="json", exclude={"id"})  # type: ignore[no-any-return]

    async def load_stall(self, terminal: str, sales: Collection[UUID]) -> Stall:
        await self._conn.statement()
        sessions: Any = self._conn.rows("stall_session").items()
        return Stall(
            sales={sale: row for sale in sales if (row := self._conn.get("stall_sale", sale))},
            voids={sale: row for sale in sales if (row := self._conn.get("stall_void", sale))},
            sessions={key: row for (whose, key), row in sessions if whose == terminal},
        )

    async def save_stall(self, terminal: str, before: Stall, after: Stall, now: datetime) -> None:
        await self._conn.statement()
        for sale, upload in sorted(after.sales.items()):
            if sale not in before.sales:
                assert isinstance(upload.body, Sale)
                self._conn.insert("stall_sale", sale, upload)
        for sale, upload in sorted(after.voids.items()):
            if sale not in before.voids:
                self._conn.insert("stall_void", sale, upload)
        for key, session in sorted(after.sessions.items()):
            if before.sessions.get(key) != session:
                self._conn.put("stall_session", (terminal, key), session)

    async def bind_device(self, terminal: str, device: str) -> tuple[str | None, bool]:
        await self._conn.statement()
        active, retired = self._conn.get("terminal_device", terminal) or (None, ())
        active = active or (None if device in retired else device)
        self._conn.put("terminal_device", terminal, (active, retired))
        return active, device in retired

    async def reset_device(self, terminal: str, device: str | None) -> list[str]:
        await self._conn.statement()
        active, retired = self._conn.get("terminal_device", terminal) or (None, ())
        found = sorted({*retired, active} - {device, None})
        self._conn.put("terminal_device", terminal, (device, tuple(found)))
        return found

    async def save_allotments(self, allotments: Mapping[tuple[str, str, str], AllotmentEvent]) -> None:
        for key, event in sorted(allotments.items()):
            await self._conn.lock("terminal_allotment", key)
            known = self._conn.get("terminal_allotment", key)
            if known is None or known.version < event.version:
                self._conn.put("terminal_allotment", key, event)

    async def read_allotments(self, terminal: str, pool: str) -> list[Row]:
        await self._conn.statement()
        sold: dict[str, int] = defaultdict(int)
        for sale, upload in self._conn.rows("stall_sale").items():
            if (upload.terminal, upload.pool) == (terminal, pool) and not self._conn.get("stall_void", sale):
                for line in upload.body.lines:
                    sold[line.item] += line.quantity
        rows: Any = self._conn.rows("terminal_allotment").items()
        lent = {item: event for (whose, where, item), event in rows if (whose, where) == (terminal, pool)}
        figures = ("granted_total", "returned_total", "version")
        return [
            {"item": item}
            | {name: getattr(lent.get(item), name, 0) for name in figures}
            | {"lease_until": getattr(lent.get(item), "lease_until", None), "sold_total": sold.get(item, 0)}
            for item in sorted(lent.keys() | sold.keys())
        ]


class MemoryOrders(_Orders, MemoryCampaigns, _Payments, _Members, _Catalog, _Stalls, Store):
    """All tables over one transaction or pool of the memory database."""

    def __init__(self, conn: Transaction) -> None:
        self._conn = conn
