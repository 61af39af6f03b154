"""The recipient of an order: personal data, stored in the recipient tables and published on the private topic only."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.events.orders import RecipientPut
from services.orders.domain.order.order import Order


@dataclass(frozen=True, slots=True)
class Recipient:
    """The person who receives an order, and the address of a delivery (WGS-84)."""

    name: str
    phone: str
    address: str = ""
    lat: float | None = None
    lon: float | None = None

    def event(self, order: Order) -> RecipientPut:
        """Return the event that gives dispatch the recipient of a delivery."""
        return RecipientPut(
            order=order.id,
            name=self.name,
            phone=self.phone,
            address=self.address,
            lat=self.lat,
            lon=self.lon,
            code=order.terms.code,
        )
