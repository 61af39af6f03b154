"""The life of a reservation: which claims it makes and gives up, and when its goods go out.

Every command is answered, also when there is nothing to undo. Crossings are decided by what came first: a release
before its reserve leaves a tombstone that refuses the late reserve; a commit after the expiry is refused; goods that
were loaded have left, whatever had become of the claim.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from contracts.envelope import Event
from contracts.events.inventory import (
    CommitRefused,
    CommitStock,
    Place,
    ReleaseStock,
    ReservationExpired,
    ReservationReleased,
    ReserveStock,
    ShortLine,
    StockCommitted,
    StockRefused,
    StockReserved,
)
from contracts.events.orders import GoodsLine
from services.inventory.domain.allocate import Refusal, Request, allocate, demand, grant
from services.inventory.domain.lots import Lot, put_back, take
from services.inventory.domain.stock import Claim, Move, Stock


class State(StrEnum):
    """Where a reservation stands; only held and firm ones claim anything."""

    HELD = "held"
    FIRM = "firm"
    RELEASED = "released"
    EXPIRED = "expired"
    REFUSED = "refused"
    LOADED = "loaded"
    COLLECTED = "collected"
    RETURNED = "returned"
    TOMBSTONE = "tombstone"


_BUCKET = {State.HELD: Claim.HELD, State.FIRM: Claim.ALLOCATED}
OUT = frozenset({State.LOADED, State.COLLECTED, State.RETURNED})


@dataclass(frozen=True, slots=True)
class Reservation:
    """An order's or campaign's claim on a pool. `lines` is what it still claims, or claimed when it ended."""

    id: UUID
    pool: str
    order: UUID
    state: State
    lines: tuple[GoodsLine, ...] = ()
    expires_at: datetime | None = None

    @property
    def cause(self) -> str:
        """What its movements are found by."""
        return f"reservation/{self.id}"

    @property
    def bucket(self) -> Claim:
        """The claim that its goods stand under now."""
        return _BUCKET.get(self.state, Claim.FREE)

    @property
    def active(self) -> bool:
        """Whether it claims stock."""
        return self.state in _BUCKET


@dataclass(frozen=True, slots=True)
class Decision:
    """What a message does: the reservations as they stand after it, the movements, and the answer to publish."""

    reservations: tuple[Reservation, ...] = ()
    moves: tuple[Move, ...] = ()
    answer: Event | None = None


def reserve(
    known: Reservation | None,
    command: ReserveStock,
    stock: Mapping[str, Stock],
    source: Reservation | None,
    now: datetime,
) -> Decision:
    """Grants out of the pool, or out of the `source` reservation where the command names one. Asked again, a
    reservation that stands is confirmed and any other is refused: the same id never claims twice.
    """
    if known:
        return Decision(answer=_reserved(known) if known.active else _refused(command, f"it is {known.state} already"))
    expires_at = None if command.firm else now + timedelta(seconds=command.ttl_s or 0)
    state = State.FIRM if command.firm else State.HELD
    wanted = Reservation(command.reservation, command.pool, command.order, state, (), expires_at)
    request = Request(command.reservation, tuple(command.lines), command.mode == "partial")
    if command.source:
        return _reserve_from(source, wanted, request, command, stock)
    answer = allocate(stock, [request])[0]
    if isinstance(answer, Refusal):
        return _refusal(wanted, command, answer.reason, answer.short)
    after = replace(wanted, lines=answer.lines)
    return Decision((after,), _claims(after, Claim.FREE, after.bucket), _reserved(after))


def _reserve_from(
    source: Reservation | None,
    wanted: Reservation,
    request: Request,
    command: ReserveStock,
    stock: Mapping[str, Stock],
) -> Decision:
    if source is None or not source.active:
        return _refusal(wanted, command, "the source claims nothing")
    # What a fact took away is not handed on: it falls on those who come last, and goes with the source's rest.
    claimed = demand(source.lines)
    left = {item: max(0, claimed[item] - found.shortfall) for item, found in stock.items()}
    answer = grant(left, request)
    if isinstance(answer, Refusal):
        return _refusal(wanted, command, answer.reason, answer.short)
    after = replace(wanted, lines=answer.lines)
    rest = replace(source, lines=_without(source.lines, answer.lines))
    moves = _claims(after, source.bucket, after.bucket) if source.bucket is not after.bucket else ()
    return Decision((rest, after), moves, _reserved(after))


def _without(lines: Iterable[GoodsLine], taken: Iterable[GoodsLine]) -> tuple[GoodsLine, ...]:
    gone = demand(taken)
    left = []
    for line in lines:
        part = min(line.quantity, gone[line.item])
        gone[line.item] -= part
        left.append(line.model_copy(update={"quantity": line.quantity - part}))
    return tuple(left)


def _reserved(known: Reservation) -> StockReserved:
    return StockReserved(
        reservation=known.id,
        pool=known.pool,
        order=known.order,
        firm=known.state is State.FIRM,
        expires_at=known.expires_at if known.state is State.HELD else None,
        lines=list(known.lines),
    )


def _refusal(wanted: Reservation, command: ReserveStock, reason: str, short: Sequence[ShortLine] = ()) -> Decision:
    refused = replace(wanted, state=State.REFUSED, lines=(), expires_at=None)
    return Decision((refused,), (), _refused(command, reason, short))


def _refused(command: ReserveStock, reason: str, short: Sequence[ShortLine] = ()) -> StockRefused:
    return StockRefused(
        reservation=command.reservation, pool=command.pool, order=command.order, reason=reason, short=list(short)
    )


def _claims(reservation: Reservation, source: Claim, target: Claim) -> tuple[Move, ...]:
    return tuple(
        Move(reservation.pool, item, source, target, quantity, reservation.cause)
        for item, quantity in demand(reservation.lines).items()
        if quantity
    )


def release(known: Reservation | None, command: ReleaseStock) -> Decision:
    """Ends the claim; `quantity` is what it still claimed, 0 where that was nothing."""
    if known is None:
        gone = Reservation(command.reservation, command.pool, command.order, State.TOMBSTONE)
        return Decision((gone,), (), _released(gone))
    if not known.active:
        return Decision(answer=_released(replace(known, lines=())))
    return _end(known)


def hand_back(known: Reservation | None) -> Decision:
    """A pickup that nobody collected: the claim ends; nothing where there is none."""
    return _end(known) if known and known.active else Decision()


def _end(known: Reservation) -> Decision:
    after = replace(known, state=State.RELEASED)
    return Decision((after,), _claims(known, known.bucket, Claim.FREE), _released(known))


def _released(known: Reservation) -> ReservationReleased:
    quantity = sum(line.quantity for line in known.lines)
    return ReservationReleased(
        reservation=known.id, pool=known.pool, order=known.order, quantity=quantity, lines=list(known.lines)
    )


def commit(known: Reservation | None, command: CommitStock) -> Decision:
    """Makes a hold firm, also an overdue one that has not expired yet: the row decides, and so exactly one wins."""
    names = {"reservation": command.reservation, "pool": command.pool, "order": command.order}
    if known and known.state is State.HELD:
        after = replace(known, state=State.FIRM, expires_at=None)
        return Decision((after,), _claims(known, Claim.HELD, Claim.ALLOCATED), StockCommitted(**names))
    if known and (known.state is State.FIRM or known.state in OUT):
        return Decision(answer=StockCommitted(**names))
    return Decision(answer=CommitRefused(**names, reason=f"it is {known.state}" if known else "it is unknown"))


def expire(known: Reservation | None, now: datetime) -> Decision:
    """Ends a hold that is due; nothing where it was committed, ended or is not due."""
    if known is None or known.state is not State.HELD or known.expires_at is None or known.expires_at > now:
        return Decision()
    answer = ReservationExpired(
        reservation=known.id, pool=known.pool, order=known.order, lines=[line for line in known.lines if line.quantity]
    )
    return Decision((replace(known, state=State.EXPIRED),), _claims(known, Claim.HELD, Claim.FREE), answer)


def hand_out(
    known: Reservation | None, unknown: Reservation, place: Place, lots: Mapping[str, Iterable[Lot]], now: datetime
) -> Decision:
    """Takes the goods out of on hand to a courier or buyer, once. A fact: it also happens when the claim had been
    given up, or was never heard of (then as `unknown`, which carries the lines that the message tells).
    """
    if known and known.state in OUT:
        return Decision()
    was = known or unknown
    lines = unknown.lines or was.lines
    state = State.COLLECTED if place is Place.BUYER else State.LOADED
    claims = _claims(was, was.bucket, Claim.FREE) if was.active else ()
    out = tuple(
        move
        for item, quantity in demand(lines).items()
        for move in take(was.pool, item, quantity, place, was.cause, lots.get(item, ()), now)
    )
    return Decision((replace(was, state=state, lines=lines, expires_at=None),), claims + out)


def bring_back(known: Reservation | None, history: Iterable[Move]) -> Decision:
    """Puts loaded goods back on hand in the lots that they came from, once; nothing where none are out."""
    if known is None or known.state is not State.LOADED:
        return Decision()
    return Decision((replace(known, state=State.RETURNED),), put_back(history, Place.COURIER, known.cause))
