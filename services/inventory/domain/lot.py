"""Lots: a household's goods from intake and inspection until they leave, and the lot of each movement.

Claims are per pool and item, goods are per lot. Stalls do not read lots, so the lot of goods that leave is inferred
first-expired-first-out and flagged; a movement that names its lot corrects earlier inferences. Goods that no lot has
are taken from the item's unattributed lot (None), the only one that may be below zero, until a count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from contracts.events.inventory import Place
from services.inventory.domain.stock import Move

_NEVER = datetime.max.replace(tzinfo=UTC)


class LotState(StrEnum):
    """The state of a lot's inspection; only a released lot has goods in the pool."""

    RECEIVED = "received"
    RELEASED = "released"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Lot:
    """A household's goods of one item. `received` = `released` + `rejected` once inspected; `on_hand` is the rest of
    `released`.
    """

    id: UUID
    pool: str
    item: str
    household: str
    received: int
    received_at: datetime
    harvested_at: datetime
    sell_by: datetime | None = None
    state: LotState = LotState.RECEIVED
    released: int = 0
    rejected: int = 0
    on_hand: int = 0

    def expired(self, at: datetime) -> bool:
        """Return True where its sell-by is before the instant."""
        return self.sell_by is not None and self.sell_by < at

    def moved(self, move: Move) -> Lot:
        """Return the lot after one of its movements."""
        change = (move.target is Place.ON_HAND) - (move.source is Place.ON_HAND)
        return replace(self, on_hand=self.on_hand + change * move.quantity)


def inspect(lot: Lot, passed: int) -> tuple[Lot, tuple[Move, ...]]:
    """Return the lot after its inspection: `passed` of it enters the pool, the rest is rejected."""
    state = LotState.RELEASED if passed else LotState.REJECTED
    after = replace(lot, state=state, released=passed, rejected=lot.received - passed)
    move = Move(lot.pool, lot.item, Place.INTAKE, Place.ON_HAND, passed, f"lot/{lot.id}", lot.id)
    return after, (move,) if passed else ()


def fefo(lots: Iterable[Lot], handed_out: datetime | None = None) -> list[Lot]:
    """Return the lots with goods first-expired-first-out: the earliest sell-by first, then the earliest harvest.

    For goods `handed_out` at an instant, lots that have expired by then are last.
    """
    return sorted(
        (lot for lot in lots if lot.on_hand > 0),
        key=lambda lot: (
            handed_out is not None and lot.expired(handed_out),
            lot.sell_by or _NEVER,
            lot.harvested_at,
            lot.id,
        ),
    )


def after(lots: Iterable[Lot], moves: Sequence[Move]) -> list[Lot]:
    """Return the lots after the movements."""
    found = {lot.id: lot for lot in lots}
    for move in moves:
        if move.lot in found and move.physical:
            found[move.lot] = found[move.lot].moved(move)
    return list(found.values())


def take(
    pool: str,
    item: str,
    quantity: int,
    target: Place,
    cause: str,
    lots: Iterable[Lot],
    handed_out: datetime | None = None,
) -> tuple[Move, ...]:
    """Return movements from on hand with inferred lots; the unattributed lot bears the quantity that no lot has.

    Goods `handed_out` at an instant to a courier or buyer are of expired lots only where no other lot has any: the
    fact is recorded all the same.
    """
    moves = []
    for lot in fefo(lots, handed_out):
        taken = min(quantity, lot.on_hand)
        if taken:
            moves.append(Move(pool, item, Place.ON_HAND, target, taken, cause, lot.id, True))
            quantity -= taken
    if quantity:
        moves.append(Move(pool, item, Place.ON_HAND, target, quantity, cause, None, True))
    return tuple(moves)


def gone(history: Iterable[Move], place: Place) -> Counter[tuple[str, str, UUID | None]]:
    """Return the net quantities that the movements took to a place outside, by (pool, item, lot)."""
    net: Counter[tuple[str, str, UUID | None]] = Counter()
    for move in history:
        change = (move.target is place) - (move.source is place)
        if change:
            net[move.pool, move.item, move.lot] += change * move.quantity
    return +net


def put_back(history: Iterable[Move], place: Place, cause: str, limit: int | None = None) -> tuple[Move, ...]:
    """Return movements that bring goods back on hand from a place, in the lots of the history; at most `limit`."""
    moves = []
    for (pool, item, lot), quantity in gone(history, place).items():
        back = quantity if limit is None else min(quantity, limit)
        if limit is not None:
            limit -= back
        if back:
            moves.append(Move(pool, item, place, Place.ON_HAND, back, cause, lot, True))
    return tuple(moves)


def reattribute(lot: UUID | None, need: int, inferred: Sequence[Move], others: Iterable[Lot]) -> tuple[Move, ...]:
    """Return correcting pairs that bring up to `need` of a lot back on hand by taking it from other lots instead.

    `inferred` are the inferred movements of that lot, oldest first; the newest are corrected first, each under its own
    cause. For a named lot, the unattributed lot bears the quantity that the other lots lack; for the unattributed lot,
    only the quantity that other lots have is corrected.
    """
    moves: list[Move] = []
    lots = [other for other in others if other.id != lot]
    for (pool, item, cause, place), quantity in reversed(_outs(inferred).items()):
        bearable = need if lot else min(need, sum(other.on_hand for other in fefo(lots)))
        quantity = min(quantity, bearable)
        if quantity:
            instead = take(pool, item, quantity, place, cause, lots)
            moves += [Move(pool, item, place, Place.ON_HAND, quantity, cause, lot, True), *instead]
            lots = after(lots, instead)
            need -= quantity
    return tuple(moves)


def _outs(inferred: Sequence[Move]) -> Counter[tuple[str, str, str, Place]]:
    net: Counter[tuple[str, str, str, Place]] = Counter()
    for move in inferred:
        out = move.source is Place.ON_HAND
        place = move.target if out else move.source
        if isinstance(place, Place):
            net[move.pool, move.item, move.cause, place] += move.quantity if out else -move.quantity
    return +net


def take_named(
    lot: Lot, quantity: int, target: Place, cause: str, inferred: Sequence[Move], others: Iterable[Lot]
) -> tuple[Move, ...]:
    """Return movements from on hand of a lot that was read.

    Where the lot has less on record than the quantity, the difference is first taken back from earlier inferences; the
    unattributed lot bears the rest.
    """
    corrections = reattribute(lot.id, max(0, quantity - lot.on_hand), inferred, others)
    borne = min(quantity, after([lot], corrections)[0].on_hand)
    named = Move(lot.pool, lot.item, Place.ON_HAND, target, borne, cause, lot.id)
    rest = Move(lot.pool, lot.item, Place.ON_HAND, target, quantity - borne, cause, None, True)
    return (*corrections, *(move for move in (named, rest) if move.quantity))
