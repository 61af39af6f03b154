"""Allotment: stock lent to a stall terminal, which sells offline only from its allotment, never promised goods.

Always: granted - returned - (sold - overdrawn) - lost = allotted + unconfirmed. A lapsed lease makes goods
`unconfirmed`: the terminal can't be reached, so its goods are not available until a counted return.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from contracts.events.inventory import AllotmentEvent, Place
from services.inventory.domain import plausibility
from services.inventory.domain.lot import Lot, after, put_back, take
from services.inventory.domain.stock import Claim, Move, Stock


class NotAvailable(Exception):
    """The pool has only `available` to promise; nothing was lent."""

    def __init__(self, available: int) -> None:
        super().__init__(f"{available} available")
        self.available = available


@dataclass(frozen=True, slots=True)
class Allotment:
    """Stock of one item lent to one terminal: cumulative totals, and the quantity that is still lent.

    `version` counts the published changes. `counted` and `closed`: since the last grant a return was counted, and a
    session closed complete; when both are true, the rest is written off as lost. `doubted`: the overdrawn quantity that
    is not plausible and that staff has not confirmed; `confirmed`: the overdrawn quantity when it did.
    """

    terminal: str
    pool: str
    item: str
    granted: int = 0
    returned: int = 0
    sold: int = 0
    overdrawn: int = 0
    lost: int = 0
    allotted: int = 0
    unconfirmed: int = 0
    version: int = 0
    lease_until: datetime | None = None
    counted: bool = False
    closed: bool = False
    doubted: int = 0
    confirmed: int = 0

    @property
    def loss_cause(self) -> str:
        """The cause of the movements that write off its losses."""
        return f"loss/{self.pool}/{self.terminal}/{self.item}"

    @property
    def lent(self) -> int:
        """The quantity that should still be on the terminal's table."""
        return self.allotted + self.unconfirmed

    def claim(self, source: Claim, target: Claim, quantity: int, cause: str) -> tuple[Move, ...]:
        """Return the movement between two claims of its item; none for a quantity of 0."""
        return (Move(self.pool, self.item, source, target, quantity, cause),) if quantity else ()


Change = tuple[Allotment, tuple[Move, ...]]
"""An allotment after a change, and the movements of the change."""


def lend(allotment: Allotment, stock: Stock, quantity: int, lease_until: datetime, cause: str) -> Change:
    """Lend more, on a new lease for everything that is allotted. A promise: raises `NotAvailable`."""
    if quantity > stock.promisable:
        raise NotAvailable(stock.promisable)
    lent = replace(
        allotment,
        granted=allotment.granted + quantity,
        allotted=allotment.allotted + quantity,
        version=allotment.version + 1,
        lease_until=lease_until,
        counted=False,
        closed=False,
    )
    return lent, allotment.claim(Claim.FREE, Claim.ALLOTTED, quantity, cause)


def renew(allotment: Allotment, lease_until: datetime, cause: str) -> Change:
    """Give everything that is lent a new lease; unconfirmed goods are allotted again."""
    back = allotment.unconfirmed
    renewed = replace(
        allotment,
        allotted=allotment.lent,
        unconfirmed=0,
        version=allotment.version + 1,
        lease_until=lease_until,
    )
    return renewed, allotment.claim(Claim.UNCONFIRMED, Claim.ALLOTTED, back, cause)


def lapse(allotment: Allotment, now: datetime, cause: str) -> Change:
    """End the lease: allotted goods become unconfirmed. No change while the lease runs or where nothing is allotted."""
    if allotment.lease_until is None or allotment.lease_until > now or not allotment.allotted:
        return allotment, ()
    gone = allotment.allotted
    lapsed = replace(allotment, allotted=0, unconfirmed=allotment.unconfirmed + gone, version=allotment.version + 1)
    return lapsed, allotment.claim(Claim.ALLOTTED, Claim.UNCONFIRMED, gone, cause)


def sell(
    allotment: Allotment,
    quantity: int,
    cause: str,
    lots: Iterable[Lot],
    losses: Sequence[Move],
    now: datetime,
    unit: str | None = None,
) -> Change:
    """Record a sale, which is never refused: it reverses an earlier loss, takes from allotted, then from unconfirmed,
    and overdraws the pool for the rest. `losses` is the history of the allotment's loss cause, `unit` the item's.
    """
    found, recovered = _recover(allotment, min(quantity, allotment.lost), losses)
    back = found.unconfirmed - allotment.unconfirmed
    allotted = min(quantity - back, found.allotted)
    unconfirmed = min(quantity - allotted, found.unconfirmed)
    overdrawn = quantity - allotted - unconfirmed
    sold = replace(
        found,
        sold=found.sold + quantity,
        overdrawn=found.overdrawn + overdrawn,
        doubted=plausibility.doubted(found.overdrawn + overdrawn, found.granted, found.confirmed, unit),
        allotted=found.allotted - allotted,
        unconfirmed=found.unconfirmed - unconfirmed,
    )
    claims = found.claim(Claim.ALLOTTED, Claim.FREE, allotted, cause)
    claims += found.claim(Claim.UNCONFIRMED, Claim.FREE, unconfirmed, cause)
    out = take(found.pool, found.item, quantity, Place.SOLD, cause, after(lots, recovered), now)
    return sold, (*recovered, *claims, *out)


def _recover(allotment: Allotment, quantity: int, losses: Sequence[Move]) -> Change:
    """Take back a write-off: the goods are on hand and lent to the terminal again, unconfirmed."""
    if not quantity:
        return allotment, ()
    found = replace(allotment, lost=allotment.lost - quantity, unconfirmed=allotment.unconfirmed + quantity)
    cause = allotment.loss_cause
    moves = put_back(losses, Place.LOST, cause, quantity)
    return found, (*moves, *allotment.claim(Claim.FREE, Claim.UNCONFIRMED, quantity, cause))


def void(allotment: Allotment, sale: Sequence[Move], cause: str, now: datetime, lots: Iterable[Lot]) -> Change:
    """Undo a sale by its movements: the goods are on hand again, and lent as far as they were lent before."""
    mine = [move for move in sale if (move.pool, move.item) == (allotment.pool, allotment.item)]
    goods = put_back(mine, Place.SOLD, cause)
    total = sum(move.quantity for move in goods)
    lent = sum(move.quantity for move in mine if move.target is Claim.FREE)
    alive = allotment.lease_until is not None and allotment.lease_until > now
    undone = replace(
        allotment,
        sold=allotment.sold - total,
        overdrawn=allotment.overdrawn - (total - lent),
        doubted=max(0, allotment.doubted - (total - lent)),
        allotted=allotment.allotted + (lent if alive else 0),
        unconfirmed=allotment.unconfirmed + (0 if alive else lent),
    )
    claims = allotment.claim(Claim.FREE, Claim.ALLOTTED if alive else Claim.UNCONFIRMED, lent, cause)
    return _settle(undone, (*goods, *claims), lots)


def give_back(
    allotment: Allotment,
    quantity: int,
    cause: str,
    lots: Iterable[Lot],
    losses: Sequence[Move],
    *,
    counted: bool = True,
) -> Change:
    """Return a quantity to the pool, 0 included. Above the lent quantity it takes back a loss; the rest above that is
    found. `counted`: the terminal's whole table was counted, so that nothing should be left on it.
    """
    beyond = max(0, quantity - allotment.lent)
    held, recovered = _recover(allotment, min(beyond, allotment.lost), losses)
    unconfirmed = min(quantity, held.unconfirmed)
    allotted = min(quantity - unconfirmed, held.allotted)
    found = quantity - unconfirmed - allotted
    back = replace(
        held,
        returned=held.returned + unconfirmed + allotted,
        allotted=held.allotted - allotted,
        unconfirmed=held.unconfirmed - unconfirmed,
        version=held.version + 1,
        counted=held.counted or counted,
    )
    moves = [*recovered, *held.claim(Claim.UNCONFIRMED, Claim.FREE, unconfirmed, cause)]
    moves += held.claim(Claim.ALLOTTED, Claim.FREE, allotted, cause)
    if found:
        moves.append(Move(held.pool, held.item, Place.FOUND, Place.ON_HAND, found, cause))
    return _settle(back, tuple(moves), lots)


def confirm(allotment: Allotment) -> Allotment:
    """Return the allotment with everything confirmed that was overdrawn so far."""
    return replace(allotment, doubted=0, confirmed=allotment.overdrawn)


def close(allotment: Allotment, lots: Iterable[Lot]) -> Change:
    """Close the terminal's session, of which every sale has arrived."""
    return _settle(replace(allotment, closed=True), (), lots)


def _settle(allotment: Allotment, moves: tuple[Move, ...], lots: Iterable[Lot]) -> Change:
    """Write off the rest as lost once all sales have arrived and the table was counted."""
    rest, cause = allotment.lent, allotment.loss_cause
    if not (allotment.closed and allotment.counted and rest):
        return allotment, moves
    gone = allotment.claim(Claim.ALLOTTED, Claim.FREE, allotment.allotted, cause)
    gone += allotment.claim(Claim.UNCONFIRMED, Claim.FREE, allotment.unconfirmed, cause)
    gone += take(allotment.pool, allotment.item, rest, Place.LOST, cause, after(lots, moves))
    return replace(allotment, allotted=0, unconfirmed=0, lost=allotment.lost + rest), (*moves, *gone)


def allotment_event(kind: type[AllotmentEvent], allotment: Allotment, quantity: int) -> AllotmentEvent:
    """Return the event of a change of `quantity`, with the allotment's totals after it."""
    return kind(
        terminal=allotment.terminal,
        pool=allotment.pool,
        item=allotment.item,
        quantity=quantity,
        granted_total=allotment.granted,
        returned_total=allotment.returned,
        version=allotment.version,
        lease_until=allotment.lease_until,
    )
