"""What inventory is told and what it publishes: reservations, allotments, movements, lots."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from contracts.envelope import Event
from contracts.events.orders import GoodsLine
from contracts.values import Cause, Instant, OpenEnum, Pool, Quantity, Slug, Words


class InventoryCommand(Event, topic="inventory.command.v1"):
    """A command about one reservation; key is the pool, subject the reservation. Always answered."""

    reservation: UUID
    pool: Pool
    order: UUID

    @property
    def key(self) -> str:
        return self.pool

    @property
    def subject(self) -> str:
        return str(self.reservation)


class ReserveStock(InventoryCommand):
    """Claim stock for all lines (`all`) or as far as it goes (`partial`); firm, or held for `ttl_s` seconds.

    `source` names a campaign's reservation to take the stock from.
    """

    attempt: int = 1
    firm: bool
    ttl_s: int | None = Field(default=None, description="business seconds that a hold lives")
    mode: Literal["all", "partial"] = "all"
    source: UUID | None = None
    lines: list[GoodsLine]


class ReleaseStock(InventoryCommand):
    """Give up what is left of a reservation. Unknown: remembered, so that a late reserve is refused."""


class CommitStock(InventoryCommand):
    """Make a hold firm."""


class ReservationEvent(Event, topic="inventory.stock.v1"):
    """An answer about a reservation; key is the pool."""

    reservation: UUID
    pool: Pool
    order: UUID

    @property
    def key(self) -> str:
        return self.pool

    @property
    def subject(self) -> str:
        return str(self.reservation)


class StockReserved(ReservationEvent):
    """Granted: firm, or held until `expires_at`."""

    firm: bool
    expires_at: Instant | None = None
    lines: list[GoodsLine]


class ShortLine(BaseModel):
    """A line that could not be granted, and what there was."""

    line: int
    item: Slug
    asked: Quantity
    available: Quantity


class StockRefused(ReservationEvent):
    """Nothing was taken; each short line says what was left."""

    reason: Words
    short: list[ShortLine] = []


class StockCommitted(ReservationEvent):
    """The hold is now firm."""


class CommitRefused(ReservationEvent):
    """The hold had ended before the commit came."""

    reason: Words


class ReservationReleased(ReservationEvent):
    """The reservation claims nothing any more; `quantity` 0 when there was nothing to undo."""

    quantity: Quantity
    lines: list[GoodsLine] = []


class ReservationExpired(ReservationEvent):
    """The hold ran out; its goods are available again."""

    lines: list[GoodsLine] = []


class AllotmentEvent(Event, topic="inventory.stock.v1"):
    """A change of what is lent to a stall terminal of one item.

    The totals are cumulative and `version` grows by one each change, so the last one seen wins.
    """

    terminal: Slug
    pool: Pool
    item: Slug
    quantity: Quantity
    granted_total: Quantity
    returned_total: Quantity
    version: int
    lease_until: Instant | None = None

    @property
    def key(self) -> str:
        return self.pool

    @property
    def subject(self) -> str:
        return self.terminal


class AllotmentGranted(AllotmentEvent):
    """More is lent: the terminal may sell it offline."""


class AllotmentReturned(AllotmentEvent):
    """A counted quantity came back."""


class AllotmentLapsed(AllotmentEvent):
    """The lease ended unreturned: `quantity` is now unconfirmed."""


class Place(OpenEnum):
    """Where goods move from and to."""

    INTAKE = "intake"
    ON_HAND = "on_hand"
    SOLD = "sold"
    COURIER = "courier"
    BUYER = "buyer"
    WASTE = "waste"
    FOUND = "found"
    LOST = "lost"
    UNKNOWN = "unknown"


class Reason(OpenEnum):
    """Why goods were thrown away, found, lost or not let in. Codes only: words stay in inventory's database."""

    EXPIRED = "expired"
    SPOILED = "spoiled"
    DAMAGED = "damaged"
    COLD_BREACH = "cold_breach"
    RESIDUE = "residue"
    UNSOLD = "unsold"
    SAMPLE = "sample"
    SHRINKAGE = "shrinkage"
    THEFT = "theft"
    MISRECORDED = "misrecorded"
    OTHER = "other"
    UNKNOWN = "unknown"


class PoolEvent(Event, topic="inventory.stock.v1"):
    """Something about one item of a pool; subject is pool/item."""

    pool: Pool
    item: Slug

    @property
    def key(self) -> str:
        return self.pool

    @property
    def subject(self) -> str:
        return f"{self.pool}/{self.item}"


class StockMoved(PoolEvent):
    """One physical movement of one lot. `inferred`: the lot was concluded first-expired-first-out, not read."""

    movement: UUID
    lot: UUID | None = Field(description="null: the item's unattributed lot")
    inferred: bool = False
    from_place: Place
    to_place: Place
    quantity: Quantity
    cause: Cause = Field(description="what led to it: a lot, reservation, sale, count")
    reason: Reason | None = Field(default=None, description="of waste, and of a count that differed")
    expired: bool = Field(default=False, description="handed out or sold after the lot's sell-by, as no other was left")


class SoldOut(PoolEvent):
    """Nothing more is to be promised of this item, on any channel; `reopened` takes it back."""

    reopened: bool = False


class StockRecounted(PoolEvent):
    """A count while selling: what was expected and found at count time."""

    expected: Quantity
    counted: Quantity
    counted_at: Instant
    reason: Reason | None = Field(default=None, description="why it differs, as far as it was said")


class ClaimsExceeded(PoolEvent):
    """A fact left more claimed than there is: the newest reservations that would cover it. Nothing is released."""

    shortfall: Quantity
    reservations: list[UUID]
    orders: list[UUID]


class LotEvent(Event, topic="inventory.lot.v1"):
    """A step in the life of one household's lot."""

    lot: UUID

    @property
    def key(self) -> str:
        return str(self.lot)


class LotReceived(LotEvent):
    """Weighed in at a collection point; not sellable yet."""

    pool: Pool
    item: Slug
    household: Slug
    quantity: Quantity
    harvested_at: Instant
    sell_by: Instant | None = None


class LotReleased(LotEvent):
    """Passed inspection: `quantity` is now in the pool."""

    pool: Pool
    item: Slug
    quantity: Quantity


class LotRejected(LotEvent):
    """Did not pass; `quantity` never reached the pool."""

    pool: Pool
    item: Slug
    quantity: Quantity
    reason: Reason = Reason.OTHER
