"""Requests and responses about stock lent to terminals. Quantities are integers in the item's unit, times RFC 3339."""

from __future__ import annotations

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.values import Pool, Slug
from services.inventory.api.schemas.goods import GoodsIn, SomeGoodsIn
from services.inventory.commands.allotment import LendStock, MoveStock, RenewLease, ReturnStock
from services.inventory.domain.allotment import Allotment
from services.kit.http.body import Body
from services.kit.http.bounded import Instant
from services.kit.ids import Id


class AllotmentIn(SomeGoodsIn):
    """Stock to lend to a terminal until `lease_until`."""

    allotment_id: Id | None = None
    terminal: Slug
    lease_until: Instant

    def command(self, id: UUID) -> LendStock:
        """Return the command that lends this stock."""
        return LendStock(id=id, terminal=self.terminal, goods=self.goods, lease_until=self.lease_until)


class ReturnIn(GoodsIn):
    """Goods counted back from a terminal; 0 where nothing was left."""

    return_id: Id | None = None
    terminal: Slug

    def command(self, id: UUID) -> ReturnStock:
        """Return the command that takes these goods back."""
        return ReturnStock(id=id, terminal=self.terminal, goods=self.goods)


class MoveIn(SomeGoodsIn):
    """Lent stock to move from one terminal to another."""

    move_id: Id | None = None
    from_terminal: Slug
    to_terminal: Slug
    lease_until: Instant

    @model_validator(mode="after")
    def _two(self) -> Self:
        if self.from_terminal == self.to_terminal:
            raise ValueError("from_terminal and to_terminal must differ")
        return self

    def command(self, id: UUID) -> MoveStock:
        """Return the command that moves this stock."""
        return MoveStock(
            id=id,
            from_terminal=self.from_terminal,
            to_terminal=self.to_terminal,
            goods=self.goods,
            lease_until=self.lease_until,
        )


class Renewal(Body):
    """A new lease for everything that a terminal was lent of an item."""

    terminal: Slug
    pool: Pool
    item: Slug
    lease_until: Instant

    def command(self) -> RenewLease:
        """Return the command that renews the lease."""
        return RenewLease(terminal=self.terminal, pool=self.pool, item=self.item, lease_until=self.lease_until)


class AllotmentView(BaseModel):
    """A terminal's allotment of an item. The terminal has left: granted_total - returned_total - its own sales."""

    terminal: str
    pool: str
    item: str
    granted_total: int
    returned_total: int
    sold_total: int
    overdrawn_total: int
    lost_total: int
    allotted: int
    unconfirmed: int
    version: int
    lease_until: datetime | None

    @classmethod
    def of(cls, allotment: Allotment, **ids: UUID) -> Self:
        """Return the view of an allotment, with the id of the request in a subclass."""
        return cls(
            terminal=allotment.terminal,
            pool=allotment.pool,
            item=allotment.item,
            granted_total=allotment.granted,
            returned_total=allotment.returned,
            sold_total=allotment.sold,
            overdrawn_total=allotment.overdrawn,
            lost_total=allotment.lost,
            allotted=allotment.allotted,
            unconfirmed=allotment.unconfirmed,
            version=allotment.version,
            lease_until=allotment.lease_until,
            **ids,
        )


class Lent(AllotmentView):
    """The allotment after a grant."""

    allotment_id: UUID


class Returned(AllotmentView):
    """The allotment after a counted return."""

    return_id: UUID


class Moved(BaseModel):
    """The allotments of both terminals after a move."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    move_id: UUID
    from_: AllotmentView = Field(alias="from")
    to: AllotmentView
