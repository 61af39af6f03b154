"""Counts while selling goes on: the counted quantity is compared with the recorded one at count time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from contracts.events.inventory import Place
from services.inventory.domain.lot import Lot, after, reattribute, take, take_named
from services.inventory.domain.stock import Move, Stock


def count_item(
    stock: Stock, difference: int, cause: str, lots: Sequence[Lot], inferred: Sequence[Move]
) -> tuple[Move, ...]:
    """Return the movements of a count that found `difference` more of an item than expected.

    They also bring an unattributed lot below zero back to zero, as far as other lots have the goods; `inferred` are
    the unattributed lot's movements, oldest first.
    """
    moves: tuple[Move, ...] = ()
    if difference > 0:
        moves = (Move(stock.pool, stock.item, Place.FOUND, Place.ON_HAND, difference, cause),)
    elif difference < 0:
        moves = take(stock.pool, stock.item, -difference, Place.LOST, cause, lots)
    now = after(lots, moves)
    unattributed = stock.on_hand + difference - sum(lot.on_hand for lot in now)
    return moves + reattribute(None, max(0, -unattributed), inferred, now)


def count_lot(
    lot: Lot, difference: int, cause: str, inferred: Sequence[Move], others: Iterable[Lot]
) -> tuple[Move, ...]:
    """Return the movements of a count that found `difference` more of a lot than expected: missing goods are lost;
    surplus is first taken back from movements that were inferred to be of this lot, and the rest of it is found.
    """
    if difference <= 0:
        return take_named(lot, -difference, Place.LOST, cause, inferred, others) if difference else ()
    corrections = reattribute(lot.id, difference, inferred, others)
    found = difference - (after([lot], corrections)[0].on_hand - lot.on_hand)
    if not found:
        return corrections
    return (*corrections, Move(lot.pool, lot.item, Place.FOUND, Place.ON_HAND, found, cause, lot.id))
