"""The request models of payments."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from services.kit.http.body import Body
from services.kit.ids import Id
from services.orders.domain.payment import payment_of


class ReceiptIn(Body):
    """A payment that a provider has received: the name of the provider, and its id of the payment."""

    provider: Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[a-z][a-z0-9-]*$")]
    transaction: Annotated[str, Field(min_length=1, max_length=47, pattern=r"^[A-Za-z0-9][A-Za-z0-9._~-]*$")]

    @property
    def payment(self) -> str:
        """The payment as orders name it."""
        return payment_of(self.provider, self.transaction)


class AssignIn(Body):
    """The order that an unmatched receipt pays."""

    order_id: Id
