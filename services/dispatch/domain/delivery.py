"""Who receives, and what couriers reported: the facts around a job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Recipient:
    """The person of an order. Empty until the private record came, and again once it was `erased`."""

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
        """Whether the private record has come, be it to say that nothing may be known."""
        return self.erased or self.code is not None

    @property
    def obstacle(self) -> str | None:
        """Why nothing can be brought there, in words; None where it can."""
        if self.erased:
            return "the recipient was erased"
        return "the address has no position" if self.lat is None or self.lon is None else None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at the door: the n-th of its job, `delivered` or `failed`."""

    job: UUID
    n: int
    courier: str
    epoch: int
    outcome: str
    reason: str
    recorded_at: datetime
    clock_invalid: bool
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """A courier's report and what became of it. The upload itself, with its body, stands in `sequenced` under the
    same device, session and number. `code_right`: it is a valid proof, whatever its epoch.
    `note` is what the courier wrote; it is told to nobody and goes when the person is erased.
    """

    courier: str
    device: str
    session: str
    seq: int
    job: UUID
    epoch: int
    kind: str
    code_right: bool
    verdict: str
    why: str
    note: str
    recorded_at: datetime
    clock_invalid: bool
    received_at: datetime
