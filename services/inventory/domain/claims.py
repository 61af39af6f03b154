"""Which reservations a shortfall falls on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Claimant:
    """A reservation's claim on one item; `no` grows with age's opposite: the newest has the highest."""

    reservation: UUID
    order: UUID
    held: bool
    no: int
    quantity: int


def cover(shortfall: int, claimants: Iterable[Claimant]) -> list[Claimant]:
    """The fewest newest reservations that would cover the shortfall: holds first, then allocations.

    Allotments and loaded goods are never among the claimants: they are out of reach. May cover less where there
    is no one left to name.
    """
    named: list[Claimant] = []
    for claimant in sorted(claimants, key=lambda c: (not c.held, -c.no)):
        if shortfall <= 0:
            break
        if claimant.quantity > 0:
            named.append(claimant)
            shortfall -= claimant.quantity
    return named
