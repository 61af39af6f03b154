"""Commands to inventory and events that it publishes: reservations, allotments, movements, lots."""

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
    """Release the rest of a reservation. For an unknown one it is remembered, so that a late reserve is refused."""


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
    """Reservation granted: firm, or held until `expires_at`."""

    firm: bool
    expires_at: Instant | None = None
    lines: list[GoodsLine]


class ShortLine(BaseModel):
    """A line that could not be granted, with the available quantity."""

    line: int
    item: Slug
    asked: Quantity
    available: Quantity


class StockRefused(ReservationEvent):
    """Reservation refused: no stock was taken; each short line has the available quantity."""

    reason: Words
    short: list[ShortLine] = []


class StockCommitted(ReservationEvent):
    """Hold committed: it is firm now."""


class CommitRefused(ReservationEvent):
    """Commit refused: the hold had ended before."""

    reason: Words


class ReservationReleased(ReservationEvent):
    """Reservation released: it claims no stock any more; `quantity` is 0 when there was nothing to undo."""

    quantity: Quantity
    lines: list[GoodsLine] = []


class ReservationExpired(ReservationEvent):
    """Hold expired: its goods are available again."""

    lines: list[GoodsLine] = []


class AllotmentEvent(Event, topic="inventory.stock.v1"):
    """A change of an allotment: stock of one item lent to a stall terminal.

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
    """Allotment granted: `quantity` more that the terminal may sell offline."""


class AllotmentReturned(AllotmentEvent):
    """Allotment returned: a counted quantity came back."""


class AllotmentLapsed(AllotmentEvent):
    """Allotment lapsed: the lease ended unreturned, and `quantity` is now unconfirmed."""


class Place(OpenEnum):
    """Place that goods move from or to."""

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
    """Reason for waste, goods found or lost, and rejections. Codes only: words stay in inventory's database."""

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
    """An event about one item of a pool; subject is pool/item."""

    pool: Pool
    item: Slug

    @property
    def key(self) -> str:
        return self.pool

    @property
    def subject(self) -> str:
        return f"{self.pool}/{self.item}"


class StockMoved(PoolEvent):
    """One physical movement of one lot. `inferred`: the lot was chosen first-expired-first-out, not read."""

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
    """Item closed: no channel may promise more of it; `reopened` ends that."""

    reopened: bool = False


class StockRecounted(PoolEvent):
    """Count during sales: expected and counted quantity at count time."""

    expected: Quantity
    counted: Quantity
    counted_at: Instant
    reason: Reason | None = Field(default=None, description="why it differs, as far as it was said")


class ClaimsExceeded(PoolEvent):
    """Claims exceed the stock after a fact. Names the newest reservations that would cover it; none is released.

    `waiting` is the part of the shortfall that comes from implausible sales of a stall: it is not covered until staff
    confirms them, which publishes the shortfall again.
    """

    shortfall: Quantity
    waiting: Quantity = 0
    reservations: list[UUID]
    orders: list[UUID]


class LotEvent(Event, topic="inventory.lot.v1"):
    """A state change of one household's lot."""

    lot: UUID

    @property
    def key(self) -> str:
        return str(self.lot)


class LotReceived(LotEvent):
    """Lot received: weighed in at a collection point; not sellable yet."""

    pool: Pool
    item: Slug
    household: Slug
    quantity: Quantity
    harvested_at: Instant
    sell_by: Instant | None = None


class LotReleased(LotEvent):
    """Lot released: `quantity` passed inspection and is in the pool."""

    pool: Pool
    item: Slug
    quantity: Quantity


class LotRejected(LotEvent):
    """Lot rejected: `quantity` did not pass inspection and never reached the pool."""

    pool: Pool
    item: Slug
    quantity: Quantity
    reason: Reason = Reason.OTHER
