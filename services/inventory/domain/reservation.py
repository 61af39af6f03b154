"""The life of a reservation: the claims that it makes and gives up, and the goods that leave for it.

Every command is answered, also when there is nothing to undo. Of messages that cross, the first one decides: a release
before its reserve leaves a tombstone that refuses the late reserve; a commit after the expiry is refused; loaded goods
have left, even if the claim had ended before.
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
from services.inventory.domain.allocation import Refusal, allocate, demand, grant
from services.inventory.domain.lot import Lot, put_back, take
from services.inventory.domain.stock import Claim, Move, Stock


class ReservationState(StrEnum):
    """The state of a reservation; only held and firm ones claim anything."""

    HELD = "held"
    FIRM = "firm"
    RELEASED = "released"
    EXPIRED = "expired"
    REFUSED = "refused"
    LOADED = "loaded"
    COLLECTED = "collected"
    RETURNED = "returned"
    TOMBSTONE = "tombstone"


_BUCKET = {ReservationState.HELD: Claim.HELD, ReservationState.FIRM: Claim.ALLOCATED}
OUT = frozenset({ReservationState.LOADED, ReservationState.COLLECTED, ReservationState.RETURNED})


@dataclass(frozen=True, slots=True)
class Reservation:
    """An order's or campaign's claim on a pool. `lines` are the claimed goods; of an ended one, those at its end."""

    id: UUID
    pool: str
    order: UUID
    state: ReservationState
    lines: tuple[GoodsLine, ...] = ()
    expires_at: datetime | None = None

    @property
    def cause(self) -> str:
        """The cause of its movements."""
        return f"reservation/{self.id}"

    @property
    def bucket(self) -> Claim:
        """The kind of claim on its goods now."""
        return _BUCKET.get(self.state, Claim.FREE)

    @property
    def active(self) -> bool:
        """True while it claims stock."""
        return self.state in _BUCKET


@dataclass(frozen=True, slots=True)
class ReservationDecision:
    """The effect of a message: the changed reservations, the movements, and the answer to publish."""

    reservations: tuple[Reservation, ...] = ()
    moves: tuple[Move, ...] = ()
    answer: Event | None = None


def reserve(
    known: Reservation | None,
    command: ReserveStock,
    stock: Mapping[str, Stock],
    source: Reservation | None,
    now: datetime,
) -> ReservationDecision:
    """Grant the lines out of the pool, or out of the `source` reservation where the command names one.

    A repeated command confirms an active reservation and refuses any other: the same id never claims twice.
    """
    if known:
        return ReservationDecision(
            answer=_reserved(known) if known.active else _refused(command, f"it is {known.state} already")
        )
    expires_at = None if command.firm else now + timedelta(seconds=command.ttl_s or 0)
    state = ReservationState.FIRM if command.firm else ReservationState.HELD
    wanted = Reservation(command.reservation, command.pool, command.order, state, (), expires_at)
    if command.source:
        return _reserve_from(source, wanted, command, stock)
    answer = allocate(stock, command.lines, partial=command.mode == "partial")
    if isinstance(answer, Refusal):
        return _refusal(wanted, command, answer.reason, answer.short)
    after = replace(wanted, lines=answer.lines)
    return ReservationDecision((after,), _claims(after, Claim.FREE, after.bucket), _reserved(after))


def _reserve_from(
    source: Reservation | None,
    wanted: Reservation,
    command: ReserveStock,
    stock: Mapping[str, Stock],
) -> ReservationDecision:
    if source is None or not source.active:
        return _refusal(wanted, command, "the source claims nothing")
    # Goods that a fact took away are not granted again: the shortfall stays with the rest of the source.
    claimed = demand(source.lines)
    left = {item: max(0, claimed[item] - found.shortfall) for item, found in stock.items()}
    answer = grant(left, command.lines, partial=command.mode == "partial")
    if isinstance(answer, Refusal):
        return _refusal(wanted, command, answer.reason, answer.short)
    after = replace(wanted, lines=answer.lines)
    rest = replace(source, lines=_without(source.lines, answer.lines))
    moves = _claims(after, source.bucket, after.bucket) if source.bucket is not after.bucket else ()
    return ReservationDecision((rest, after), moves, _reserved(after))


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
        firm=known.state is ReservationState.FIRM,
        expires_at=known.expires_at if known.state is ReservationState.HELD else None,
        lines=list(known.lines),
    )


def _refusal(
    wanted: Reservation, command: ReserveStock, reason: str, short: Sequence[ShortLine] = ()
) -> ReservationDecision:
    refused = replace(wanted, state=ReservationState.REFUSED, lines=(), expires_at=None)
    return ReservationDecision((refused,), (), _refused(command, reason, short))


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


def release(known: Reservation | None, command: ReleaseStock) -> ReservationDecision:
    """End the claim; the answer's `quantity` is the claimed one, 0 where nothing was claimed."""
    if known is None:
        gone = Reservation(command.reservation, command.pool, command.order, ReservationState.TOMBSTONE)
        return ReservationDecision((gone,), (), _released(gone))
    if not known.active:
        return ReservationDecision(answer=_released(replace(known, lines=())))
    return _end(known)


def release_uncollected(known: Reservation | None) -> ReservationDecision:
    """End the claim of a pickup that was not collected; no effect where there is none."""
    return _end(known) if known and known.active else ReservationDecision()


def _end(known: Reservation) -> ReservationDecision:
    after = replace(known, state=ReservationState.RELEASED)
    return ReservationDecision((after,), _claims(known, known.bucket, Claim.FREE), _released(known))


def _released(known: Reservation) -> ReservationReleased:
    quantity = sum(line.quantity for line in known.lines)
    return ReservationReleased(
        reservation=known.id, pool=known.pool, order=known.order, quantity=quantity, lines=list(known.lines)
    )


def commit(known: Reservation | None, command: CommitStock) -> ReservationDecision:
    """Make a hold firm, also an overdue one that has not expired yet: of commit and expiry exactly one takes effect."""
    names = {"reservation": command.reservation, "pool": command.pool, "order": command.order}
    if known and known.state is ReservationState.HELD:
        after = replace(known, state=ReservationState.FIRM, expires_at=None)
        return ReservationDecision((after,), _claims(known, Claim.HELD, Claim.ALLOCATED), StockCommitted(**names))
    if known and (known.state is ReservationState.FIRM or known.state in OUT):
        return ReservationDecision(answer=StockCommitted(**names))
    return ReservationDecision(
        answer=CommitRefused(**names, reason=f"it is {known.state}" if known else "it is unknown")
    )


def expire(known: Reservation | None, now: datetime) -> ReservationDecision:
    """End a hold that is due; no effect where it was committed, has ended or is not due."""
    if known is None or known.state is not ReservationState.HELD or known.expires_at is None or known.expires_at > now:
        return ReservationDecision()
    answer = ReservationExpired(
        reservation=known.id, pool=known.pool, order=known.order, lines=[line for line in known.lines if line.quantity]
    )
    return ReservationDecision(
        (replace(known, state=ReservationState.EXPIRED),), _claims(known, Claim.HELD, Claim.FREE), answer
    )


def hand_out(
    known: Reservation | None, reported: Reservation, place: Place, lots: Mapping[str, Iterable[Lot]], now: datetime
) -> ReservationDecision:
    """Move goods from on-hand stock to a courier or buyer. Idempotent.

    Being a fact, it applies even if the reservation was released or is unknown; `reported` is the reservation as the
    message has it, and its lines, where it has any, are the ones that leave.
    """
    if known and known.state in OUT:
        return ReservationDecision()
    before = known or reported
    lines = reported.lines or before.lines
    state = ReservationState.COLLECTED if place is Place.BUYER else ReservationState.LOADED
    claims = _claims(before, before.bucket, Claim.FREE) if before.active else ()
    out = tuple(
        move
        for item, quantity in demand(lines).items()
        for move in take(before.pool, item, quantity, place, before.cause, lots.get(item, ()), now)
    )
    return ReservationDecision((replace(before, state=state, lines=lines, expires_at=None),), claims + out)


def return_goods(known: Reservation | None, history: Iterable[Move]) -> ReservationDecision:
    """Put loaded goods back on hand, in the lots that they were taken from. Idempotent."""
    if known is None or known.state is not ReservationState.LOADED:
        return ReservationDecision()
    return ReservationDecision(
        (replace(known, state=ReservationState.RETURNED),), put_back(history, Place.COURIER, known.cause)
    )
