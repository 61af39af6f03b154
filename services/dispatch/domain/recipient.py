"""The recipient of an order."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Recipient:
    """The person of an order. Empty until the private record has arrived, and empty again once it is `erased`."""

    order: UUID
    name: str | None = None
    phone: str | None = None
    address: str | None = None
    lat: float | None = None
    lon: float | None = None
    code: str | None = None
    erased: bool = False

    @property
    def arrived(self) -> bool:
        """True once the private record has arrived, or its erasure."""
        return self.erased or self.code is not None

    @property
    def obstacle(self) -> str | None:
        """The reason, in words, why nothing can be delivered to this recipient; None where it can."""
        if self.erased:
            return "the recipient was erased"
        return "the address has no position" if self.lat is None or self.lon is None else None
