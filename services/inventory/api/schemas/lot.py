"""Requests and responses about lots. Quantities are integers in the item's unit, times RFC 3339."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, Strict, ValidationInfo, field_validator

from contracts.events.inventory import Reason
from contracts.values import Slug
from services.inventory.api.schemas.goods import Note, SomeGoodsIn
from services.inventory.commands.lot import InspectLot, ReceiveLot
from services.kit.http.body import Body
from services.kit.http.bounded import Instant
from services.kit.ids import Id

RejectReason = Literal["residue", "spoiled", "damaged", "cold_breach", "expired", "other"]


class LotIn(SomeGoodsIn):
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

    def command(self, id: UUID) -> ReceiveLot:
        """Return the command that receives this lot."""
        return ReceiveLot(
            id=id,
            goods=self.goods,
            household=self.household,
            harvested_at=self.harvested_at,
            sell_by=self.sell_by,
        )


class Inspection(Body):
    """The result of a lot's inspection; `quantity` is the quantity that passed, by default all of it; `reason` explains
    why the rest is rejected."""

    result: Literal["pass", "fail"]
    quantity: Annotated[int, Strict(), Field(gt=0, le=1_000_000_000)] | None = None
    reason: RejectReason = "other"
    note: Note = ""

    def command(self, id: UUID) -> InspectLot:
        """Return the command that inspects the lot."""
        return InspectLot(
            id=id,
            passed=self.result == "pass",
            quantity=self.quantity,
            reason=Reason(self.reason),
            note=self.note,
        )


class LotView(BaseModel):
    """A lot. `quantity` = `released` + `rejected` once inspected; `on_hand` is the rest of `released`; `reason`
    explains why goods were rejected."""

    lot_id: UUID
    pool: str
    item: str
    household: str
    state: str
    quantity: int
    released: int
    rejected: int
    on_hand: int
    harvested_at: datetime
    sell_by: datetime | None
    received_at: datetime
    reason: str | None


class MovementView(BaseModel):
    """A movement of a lot's goods. `inferred`: the lot was not read; `expired`: handed out after its sell-by."""

    movement_id: UUID
    from_place: str
    to_place: str
    quantity: int
    inferred: bool
    cause: str
    actor: str
    at: datetime
    reason: str | None
    note: str | None
    expired: bool


class LotTrace(BaseModel):
    """A lot and a page of its movements, oldest first; `next` is the cursor of the next page, null on the last."""

    lot: LotView
    movements: list[MovementView]
    next: int | None
