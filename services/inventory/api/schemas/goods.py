"""Fields that requests about lots, stock and allotments share. Quantities are integers in the item's unit (pieces or
grams); `weight_g` may be given instead of `quantity` where the item is weighed.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, Strict, model_validator

from contracts.values import Pool, Slug
from services.inventory.commands.checks import Goods
from services.kit.http.body import Body

Amount = Annotated[int, Strict(), Field(ge=0, le=1_000_000_000)]
Note = Annotated[str, Field(max_length=200, description="words for the operator; kept in the database, not published")]


class Identified(Body):
    """A request that may carry its own id, in a field that ends in `_id`."""

    def content(self) -> dict[str, Any]:
        """Return the fields by which two requests are the same, whether the id is in the body or in a header."""
        return {name: value for name, value in self if not name.endswith("_id")}


class GoodsIn(Identified):
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
    def goods(self) -> Goods:
        """The goods, in the item's unit."""
        if self.weight_g is not None:
            return Goods(self.pool, self.item, self.weight_g, weighed=True)
        return Goods(self.pool, self.item, self.quantity or 0)


class SomeGoodsIn(GoodsIn):
    """An amount above 0."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.goods.quantity == 0:
            raise ValueError("the amount must be above 0")
        return self
