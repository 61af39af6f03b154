"""An item and its quantity, as clients and terminals send them."""

from __future__ import annotations

from pydantic import model_validator

from contracts.values import Slug
from services.kit.http.body import Body
from services.kit.http.bounded import Grams, Pieces


class Goods(Body):
    """An item and its quantity: pieces, or grams where the item is weighed."""

    item: Slug
    quantity: Pieces | None = None
    weight_g: Grams | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Goods:
        if (self.quantity is None) == (self.weight_g is None):
            raise ValueError("exactly one of quantity (pieces) and weight_g (grams) is required")
        return self
