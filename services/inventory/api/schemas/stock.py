"""Requests and responses about stock. Quantities are integers in the item's unit, times RFC 3339."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from contracts.events.inventory import Reason
from contracts.values import Pool, Slug
from services.inventory.api.schemas.goods import Amount, Identified, Note, SomeGoodsIn
from services.inventory.commands.stock import CountStock, WasteStock
from services.kit.http.bounded import Instant
from services.kit.ids import Id

WasteReason = Literal["expired", "spoiled", "damaged", "cold_breach", "unsold", "sample", "other"]
CountReason = Literal["shrinkage", "theft", "spoiled", "misrecorded", "other"]


class CountIn(Identified):
    """A count of an item, or of one lot of it, at `counted_at` (business time; by default now). `reason` explains a
    difference, where its cause is known."""

    count_id: Id | None = None
    pool: Pool
    item: Slug
    lot: Id | None = None
    counted: Amount
    counted_at: Instant | None = None
    reason: CountReason | None = None
    note: Note = ""

    def command(self, id: UUID) -> CountStock:
        """Return the command that applies this count."""
        return CountStock(
            id=id,
            pool=self.pool,
            item=self.item,
            lot=self.lot,
            counted=self.counted,
            counted_at=self.counted_at,
            reason=Reason(self.reason) if self.reason else None,
            note=self.note,
        )


class WasteIn(SomeGoodsIn):
    """Goods that were thrown away, and why; `lot` where it was read."""

    waste_id: Id | None = None
    lot: Id | None = None
    reason: WasteReason = "other"
    note: Note = ""

    def command(self, id: UUID) -> WasteStock:
        """Return the command that records this waste."""
        return WasteStock(id=id, goods=self.goods, lot=self.lot, reason=Reason(self.reason), note=self.note)


class Counted(BaseModel):
    """The result of a count: `difference` = `counted` - `expected`, the recorded quantity at count time."""

    count_id: UUID
    expected: int
    counted: int
    difference: int


class Wasted(BaseModel):
    """Recorded waste."""

    waste_id: UUID
    pool: str
    item: str
    quantity: int
    lot: UUID | None
    reason: WasteReason


class ItemState(BaseModel):
    """An item of a pool; `sold_out`: it is closed on every channel."""

    pool: str
    item: str
    sold_out: bool


class LotStock(BaseModel):
    """The goods of one lot on hand; `lot_id` is null for the goods that no lot is known for."""

    lot_id: UUID | None
    household: str | None
    on_hand: int
    sell_by: datetime | None


class Available(BaseModel):
    """An item of a pool: it is `available` if it is open and any of it is left to promise."""

    item: str
    available: bool


class AvailabilityPage(BaseModel):
    """Items in order, and the cursor of the next page."""

    availability: list[Available]
    next: str | None


class StockView(BaseModel):
    """The stock of an item of a pool. `losses` has the quantity that is lost through waste and counts, by reason.
    `doubted` is the quantity that stalls sold beyond what is plausible: no order fails for it until it is confirmed.
    """

    pool: str
    item: str
    on_hand: int
    held: int
    allocated: int
    allotted: int
    unconfirmed: int
    shortfall: int
    available: int
    sold_out: bool
    doubted: int
    by_lot: list[LotStock]
    losses: dict[str, int]


class Confirmed(BaseModel):
    """An item after its sales were confirmed: the quantity that was in doubt, and the shortfall that orders cover."""

    pool: str
    item: str
    confirmed: int
    shortfall: int


class StockPage(BaseModel):
    """Stock in order of pool and item; `next` is the cursor of the next page, null on the last."""

    stock: list[StockView]
    next: str | None
