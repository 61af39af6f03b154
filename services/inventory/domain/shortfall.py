"""Shortfall: the reservations that lose their goods when more is claimed than is there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Claimant:
    """A reservation's claim on one item; the newest reservation has the highest `no`."""

    reservation: UUID
    order: UUID
    held: bool
    no: int
    quantity: int


def cover(shortfall: int, claimants: Iterable[Claimant]) -> list[Claimant]:
    """Return the fewest newest reservations that cover the shortfall: holds first, then allocations.

    Allotments and loaded goods are never among the claimants, because they can't be taken back. Covers less where
    the claimants together claim less.
    """
    named: list[Claimant] = []
    for claimant in sorted(claimants, key=lambda c: (not c.held, -c.no)):
        if shortfall <= 0:
            break
        if claimant.quantity > 0:
            named.append(claimant)
            shortfall -= claimant.quantity
    return named
