"""Stock of one item in one pool, and the movements that are its only way to change.

A promise (hold, allocation, allotment) may claim only the `promisable` quantity; a fact (sale, count, waste, return) is
recorded even when it breaks a promise, and the quantity that is then claimed but not there is the shortfall.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from uuid import UUID

from contracts.events.inventory import Place


class Claim(StrEnum):
    """The kind of promise on goods; `FREE` goods are unclaimed."""

    FREE = "free"
    HELD = "held"
    ALLOCATED = "allocated"
    ALLOTTED = "allotted"
    UNCONFIRMED = "unconfirmed"


@dataclass(frozen=True, slots=True)
class Move:
    """A quantity that moves from one place to another, or from one claim to another; never from a place to a claim.

    Physical moves are of one lot (None: the item's unattributed lot), `inferred` where the lot was not read. `cause`
    names the sale, reservation, lot ... behind it (`sale/<id>`, `reservation/<id>`, `lot/<id>`), so that its effects
    can be found and undone.
    """

    pool: str
    item: str
    source: Place | Claim
    target: Place | Claim
    quantity: int
    cause: str
    lot: UUID | None = None
    inferred: bool = False

    @property
    def physical(self) -> bool:
        """True where goods move, and not only claims on them."""
        return isinstance(self.source, Place)


@dataclass(frozen=True, slots=True)
class Stock:
    """The stock of one item of a pool, in the item's unit.

    `on_hand` counts unsold goods anywhere, the stalls' tables included; it is negative where more was sold than was
    received. No claim is ever negative (`ValueError`). `closed`: closed manually, shown as sold out. `doubted`:
    overdrawn by stalls beyond what is plausible; the shortfall that it leaves waits for staff.
    """

    pool: str
    item: str
    on_hand: int = 0
    held: int = 0
    allocated: int = 0
    allotted: int = 0
    unconfirmed: int = 0
    closed: bool = False
    doubted: int = 0

    def __post_init__(self) -> None:
        if min(self.held, self.allocated, self.allotted, self.unconfirmed) < 0:
            raise ValueError(f"claims on {self.pool}/{self.item} must not be negative: {self}")

    @property
    def claims(self) -> int:
        """The promised quantity."""
        return self.held + self.allocated + self.allotted + self.unconfirmed

    @property
    def shortfall(self) -> int:
        """The quantity that is claimed but not there."""
        return max(0, self.claims - self.on_hand)

    @property
    def waiting(self) -> int:
        """The part of the shortfall for which no order loses its goods yet."""
        return min(self.doubted, self.shortfall)

    @property
    def available(self) -> int:
        """The quantity that is there and unclaimed; 0 while there is a shortfall."""
        return self.on_hand - self.claims + self.shortfall

    @property
    def promisable(self) -> int:
        """The quantity that a promise may still claim."""
        return 0 if self.closed else self.available

    def moved(self, move: Move) -> Stock:
        """Return the stock after a movement of its item. Places and claims without a column are outside of it."""
        changed: dict[str, int] = {}
        if move.source in _COLUMNS:
            changed[move.source.value] = getattr(self, move.source) - move.quantity
        if move.target in _COLUMNS:
            changed[move.target.value] = getattr(self, move.target) + move.quantity
        return replace(self, **changed)  # type: ignore[arg-type]


_COLUMNS = frozenset(field.name for field in fields(Stock)) & {*Place, *Claim}


def fold(moves: Iterable[Move]) -> dict[tuple[str, str], Stock]:
    """Return the stock of every (pool, item) after the movements, in any order that keeps claims above zero.

    Equal to the stored rows, except for `closed` and `doubted`, which no movement carries.
    """
    found: dict[tuple[str, str], Stock] = {}
    for move in moves:
        key = (move.pool, move.item)
        found[key] = found.get(key, Stock(*key)).moved(move)
    return found
