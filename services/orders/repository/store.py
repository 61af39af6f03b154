"""The tables of orders as repositories and use cases see them: one protocol for each aggregate.

A store works in the transaction that it was opened in, and sees that transaction's writes. Methods named `lock_*` hold
their row locks until its end, all others take none but those of the rows that they write. Each is a constant number of
statements for any number of rows, and none for no rows. `tests/contract/stores` runs the same cases against the
implementation in PostgreSQL and the one in memory that the simulation uses.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from contracts.events.catalog import CatalogEvent, SitePut
from contracts.events.inventory import AllotmentEvent
from services.orders.domain.campaign.campaign import Campaign, Tally
from services.orders.domain.campaign.join import Join
from services.orders.domain.catalog import Unreadable
from services.orders.domain.member import Account, Credit, Member, Sought
from services.orders.domain.order.order import Order
from services.orders.domain.order.recipient import Recipient
from services.orders.domain.payment import Notice, Receipt
from services.orders.domain.stall import Stall
from services.orders.repository.rows import Cause, Conflict, Row

Caller = tuple[UUID, str]
"""A campaign, and a name of a person in it: the owner of a join, the digits of a phone number, or `PHONE` and its keyed
hash in hex.
"""
PHONE = "phone:"
"""The beginning of the name of a person by the phone."""
ReceiptKey = tuple[str, str]
"""A payment provider, and its id of the payment."""


class OrderStore(Protocol):
    """Orders, and what belongs to one: lines, history, money, recipient, wrong codes, erasure."""

    async def lock_orders(self, ids: Collection[UUID]) -> list[Order]:
        """Lock these orders in order of id and read them whole. Unknown ids are left out."""

    async def find_orders(self, ids: Collection[UUID]) -> dict[UUID, tuple[Order, bytes]]:
        """Read these orders, each with the digest of its request. Unknown ids are left out."""

    async def insert_orders(self, orders: Iterable[Order], digests: Mapping[UUID, bytes]) -> set[UUID]:
        """Insert head rows in order of id and return which are new; an id that is taken changes nothing.

        Waits for a concurrent transaction that inserts one of the ids.
        """

    async def insert_details(
        self,
        orders: Sequence[Order],
        recipients: Mapping[UUID, Recipient],
        causes: Mapping[UUID, Cause],
        now: datetime,
    ) -> None:
        """Insert the details of new orders in one statement: lines, the first step, payments and recipients.

        Where groups are small, round trips are most of the cost of an order.
        """

    async def save_orders(
        self,
        orders: Sequence[Order],
        steps: Sequence[Row],
        notes: Sequence[Row],
        payments: Sequence[Row],
        refunds: Sequence[Row],
    ) -> None:
        """Write the state of locked orders, and insert rows of what happened to them, which are never changed."""

    async def count_holds(self, holders: Collection[str]) -> dict[str, int]:
        """Count the placed and held orders of each of these holders, 0 left out. Until the end of the transaction no
        other one counts those of a same holder.
        """

    async def insert_holds(self, holds: Sequence[tuple[str, UUID]]) -> None:
        """Insert (holder, order) that count from now on."""

    async def record_order_conflicts(self, conflicts: Sequence[Conflict], now: datetime) -> None:
        """Count other contents under the ids of accepted orders; the first ten of an id are stored (`capped`)."""

    async def count_wrong_codes(self, order: UUID, now: datetime) -> int:
        """Return the number of wrong codes within an hour of the first; `now` is real time. Call it under the order's
        lock.
        """

    async def add_wrong_code(self, order: UUID, now: datetime) -> int:
        """Count one more wrong code and return their number. Call it under the order's lock."""

    async def erase_person(self, order: UUID, by: str, why: str) -> dict[str, Any]:
        """Delete the recipient of a locked order, its code and its notes; record when, by which role and why. Its
        member is forgotten, its hash removed, once no other order or join of it has a person.

        Idempotent: the first record stays, and is returned.
        """


class CampaignStore(Protocol):
    """Campaigns, their tallies, joins, recipients of joins, and verdicts."""

    async def lock_campaigns(self, ids: Collection[UUID]) -> list[Campaign]:
        """Lock these campaigns in order of id and read them. Unknown ids are left out."""

    async def lock_open_campaigns(self, ids: Collection[UUID], now: datetime) -> dict[UUID, Campaign]:
        """Lock those of the campaigns that close after `now` FOR SHARE, in order of id.

        A campaign past its cutoff takes no joins, so it is not locked: late joins cannot delay its cut.
        """

    async def find_campaigns(self, ids: Collection[UUID]) -> dict[UUID, tuple[Campaign, bytes]]:
        """Read these campaigns, each with the digest of its request. Unknown ids are left out."""

    async def insert_campaign(self, campaign: Campaign, digest: bytes) -> bool:
        """Insert a new campaign with an empty tally; False where its id is taken. Waits for a concurrent transaction
        that inserts the same id.
        """

    async def save_campaigns(self, campaigns: Sequence[Campaign]) -> None:
        """Write the state of these campaigns."""

    async def insert_verdicts(self, verdicts: Mapping[UUID, tuple[bytes, bytes]], now: datetime) -> None:
        """Insert the verdicts of campaigns: the texts of the inputs and of the result."""

    async def read_tallies(self, campaigns: Collection[UUID]) -> dict[UUID, Tally]:
        """Read the tallies of these campaigns."""

    async def lock_tallies(self, campaigns: Collection[UUID]) -> dict[UUID, Tally]:
        """Lock and read the tallies of campaigns that are locked already, in order of id: it serialises their joins."""

    async def save_tallies(self, tallies: Mapping[UUID, Tally]) -> None:
        """Write the tallies of campaigns."""

    async def find_joins(self, ids: Collection[UUID]) -> dict[UUID, tuple[Join, bytes]]:
        """Read these joins, each with the digest of its request. Unknown ids are left out."""

    async def pledged_joins(self, campaigns: Collection[UUID], limit: int | None) -> list[tuple[Join, bytes]]:
        """Read up to `limit` pledged joins of these campaigns in log order, each with the digest of its request."""

    async def find_members(self, callers: Collection[Caller]) -> dict[Caller, int]:
        """Return the number of each of these callers that has joined the campaign already: that of the first active
        join of the owner, of the digits, or of the member with this hash.
        """

    async def insert_joins(
        self, joins: Sequence[Join], digests: Mapping[UUID, bytes], people: Mapping[UUID, tuple[str, Recipient]]
    ) -> None:
        """Insert new joins, and for each (by its id) the digits of the caller's phone number and the recipient."""

    async def save_joins(self, joins: Collection[Join]) -> None:
        """Write the state of these joins, and delete the recipients of those that have ended. A member without a credit
        is forgotten where that was its last person.
        """

    async def join_recipients(self, orders: Collection[UUID]) -> dict[UUID, Recipient]:
        """Read the recipients of joins by the ids of the orders that they may become."""

    async def record_campaign_conflicts(self, conflicts: Sequence[Conflict], now: datetime) -> None:
        """Count other contents under the ids of campaigns and joins; the first ten of an id are stored (`capped`)."""


class PaymentStore(Protocol):
    """Receipts of payment providers."""

    async def insert_receipt(self, receipt: Receipt) -> bool:
        """Insert a receipt; False where its transaction is known, which changes nothing. Waits for a concurrent
        transaction that inserts the same one.
        """

    async def find_receipts(self, keys: Collection[ReceiptKey]) -> dict[ReceiptKey, Receipt]:
        """Read these receipts. Unknown ones are left out."""

    async def lock_receipts(self, keys: Collection[ReceiptKey]) -> dict[ReceiptKey, Receipt]:
        """Lock these receipts in order of their keys and read them. Unknown ones are left out."""

    async def save_receipts(self, receipts: Sequence[Receipt]) -> None:
        """Write what locked receipts pay."""

    async def record_receipt_conflict(self, notice: Notice, now: datetime) -> None:
        """Count another content under a known transaction; `now` is real time."""


class MemberStore(Protocol):
    """Members, by the keyed hash of their phones."""

    async def find_or_make_members(self, sought: Sequence[Sought]) -> dict[UUID, UUID]:
        """Find members by tenant, community and hash, make those that are missing, and return them by order.

        None is made for an order that exists. Waits for a concurrent transaction that makes one of them, and then takes
        a second statement.
        """

    async def lock_accounts(self, members: Collection[UUID]) -> dict[UUID, Account]:
        """Lock these members in order of id, then read what their orders and pledges on account owe."""

    async def lock_member(self, id: UUID) -> Member | None:
        """Lock and read a member; None for an unknown one."""

    async def save_credit(self, id: UUID, credit: Credit) -> None:
        """Write the credit of a locked member."""


class CatalogStore(Protocol):
    """The catalogue and the sold-out items, each with a version that grows with every change."""

    async def catalog_versions(self) -> tuple[int, int]:
        """Return the versions of the catalogue and of the sold-out items."""

    async def read_catalog(self) -> list[CatalogEvent | Unreadable]:
        """Read all entries."""

    async def read_sold_out(self) -> frozenset[tuple[str, str]]:
        """Read the (pool, item) that are sold out."""

    async def sold_out_items(self, pool: str) -> list[str]:
        """Read the items that are sold out in a pool, in order."""

    async def save_sold_out(self, sold_out: Mapping[tuple[str, str], bool]) -> None:
        """Store which (pool, item) are sold out, and make their version grow."""

    async def upsert_entry(self, kind: str, entity: CatalogEvent, now: datetime) -> tuple[bool, int]:
        """Store an entity under a lock of its row, new or not. Return whether it changed, and its version.

        The same body again changes nothing. Any change makes the catalogue's version grow.
        """

    async def find_entry(self, kind: str, id: str) -> CatalogEvent | None:
        """Return an entity as it is stored; None where there is none or it can't be read."""

    async def sites_of(self, station: str) -> list[SitePut]:
        """Return the readable sites of a station in order of id."""

    async def missing_entries(self, references: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Return the (kind, id) that the catalogue lacks."""

    async def waves_of_others(self, market_day: str, waves: Collection[str]) -> dict[str, str]:
        """Return those of the wave ids that another market day has, each with that day's id.

        Locks the catalogue's version first: of two market days that claim an id at once the later one sees the other.
        """


class StallStore(Protocol):
    """The uploads of stall terminals, their devices, and the allotments that inventory grants them."""

    async def lock_terminal(self, terminal: str) -> dict[str, Any] | None:
        """Lock the terminal's head row, which is its catalogue entry, and return its fields; None when there is
        none.
        """

    async def load_stall(self, terminal: str, sales: Collection[UUID]) -> Stall:
        """Read the terminal's sessions, and these sales and their voids by any terminal."""

    async def save_stall(self, terminal: str, before: Stall, after: Stall, now: datetime) -> None:
        """Write the changes of uploads: new sales and voids, and changed sessions."""

    async def bind_device(self, terminal: str, device: str) -> tuple[str | None, bool]:
        """Make the device the terminal's active one where it has none. Return the active device (None after a reset),
        and whether this device was retired by a reset. Call it under `lock_terminal`.
        """

    async def reset_device(self, terminal: str, device: str | None) -> list[str]:
        """Retire the active device, so that the next new one, or `device` alone, becomes active. Return all retired
        ones in order.
        """

    async def save_allotments(self, allotments: Mapping[tuple[str, str, str], AllotmentEvent]) -> None:
        """Store cumulative totals; a version that is not newer than the stored one changes nothing."""

    async def read_allotments(self, terminal: str, pool: str) -> list[Row]:
        """Read by item: the granted and returned totals with their version, and the quantity that the terminal sold.

        `left = granted_total - returned_total - sold_total`; the terminal itself subtracts sales that it has not
        uploaded.
        """


class Store(OrderStore, CampaignStore, PaymentStore, MemberStore, CatalogStore, StallStore, Protocol):
    """All tables of the service."""
