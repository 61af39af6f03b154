"""What clients send about lots and stock. Quantities are integers in the item's unit; `weight_g` may stand for
`quantity` where the item is weighed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, Strict, ValidationInfo, field_validator, model_validator

from contracts.values import Pool, Slug
from services.kit.http.body import Body
from services.kit.http.bounded import Instant
from services.kit.ids import Id

WasteReason = Literal["expired", "spoiled", "damaged", "cold_breach", "unsold", "sample", "other"]
CountReason = Literal["shrinkage", "theft", "spoiled", "misrecorded", "other"]
RejectReason = Literal["residue", "spoiled", "damaged", "cold_breach", "expired", "other"]
Note = Annotated[str, Field(max_length=200, description="words for the operator; kept in the database, not published")]
AHEAD = timedelta(minutes=10)
"""How far a time that is past by its meaning may lie ahead: clocks differ."""
Amount = Annotated[int, Strict(), Field(ge=0, le=1_000_000_000)]


class Goods(Body):
    """An amount of an item of a pool: one of `quantity` and `weight_g`."""

    pool: Pool
    item: Slug
    quantity: Amount | None = None
    weight_g: Amount | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.quantity is None) == (self.weight_g is None):
            raise ValueError("exactly one of quantity and weight_g (grams) is required")
        return self

    @property
    def amount(self) -> int:
        """How much, in the item's unit."""
        return self.quantity if self.quantity is not None else self.weight_g or 0

    def content(self) -> dict[str, Any]:
        """What makes two requests the same, whichever way each said its id."""
        return {name: value for name, value in self if not name.endswith("_id")}


class SomeGoods(Goods):
    """An amount above 0."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.amount == 0:
            raise ValueError("the amount must be above 0")
        return self


class LotIn(SomeGoods):
    """A household's goods as they were weighed in."""

    lot_id: Id | None = None
    household: Slug
    harvested_at: Instant
    sell_by: Instant | None = None

    @field_validator("sell_by")
    @classmethod
    def _after_the_harvest(cls, sell_by: datetime | None, info: ValidationInfo) -> datetime | None:
        harvested_at = info.data.get("harvested_at")
        if sell_by and harvested_at and sell_by < harvested_at:
            raise ValueError(f"sell_by must not be before harvested_at ({harvested_at.isoformat()})")
        return sell_by


class Inspection(Body):
    """The result of a lot's inspection; `quantity` is how much of it passed, by default all. `reason` is why the rest
    did not."""

    result: Literal["pass", "fail"]
    quantity: Annotated[int, Strict(), Field(gt=0, le=1_000_000_000)] | None = None
    reason: RejectReason = "other"
    note: Note = ""


class AllotmentIn(SomeGoods):
    """Stock to lend to a terminal until `lease_until`."""

    allotment_id: Id | None = None
    terminal: Slug
    lease_until: Instant


class ReturnIn(Goods):
    """What was counted back from a terminal; 0 says that nothing was left."""

    return_id: Id | None = None
    terminal: Slug


class MoveIn(SomeGoods):
    """Lent stock that goes from one terminal to another."""

    move_id: Id | None = None
    from_terminal: Slug
    to_terminal: Slug
    lease_until: Instant

    @model_validator(mode="after")
    def _two(self) -> Self:
        if self.from_terminal == self.to_terminal:
            raise ValueError("from_terminal and to_terminal must differ")
        return self


class Renewal(Body):
    """A new lease for what a terminal has of an item."""

    terminal: Slug
    pool: Pool
    item: Slug
    lease_until: Instant


class CountIn(Body):
    """What was found of an item, or of one lot of it, at `counted_at` (business time; by default now). `reason` is why
    it differs from the books, where that is known."""

    count_id: Id | None = None
    pool: Pool
    item: Slug
    lot: Id | None = None
    counted: Amount
    counted_at: Instant | None = None
    reason: CountReason | None = None
    note: Note = ""

    def content(self) -> dict[str, Any]:
        """What makes two requests the same, whichever way each said its id."""
        return {name: value for name, value in self if name != "count_id"}

    def at(self, now: datetime) -> datetime:
        """When it was counted; never in the future."""
        return min(self.counted_at or now, now)


class WasteIn(SomeGoods):
    """Goods that are thrown away, and why; `lot` where it was read."""

    waste_id: Id | None = None
    lot: Id | None = None
    reason: WasteReason = "other"
    note: Note = ""
