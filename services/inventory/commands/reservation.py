"""Use cases of reservations: stock is claimed, given up, made firm, handed out and returned."""

from __future__ import annotations

from uuid import UUID

from contracts.events.dispatch import JobLoaded
from contracts.events.inventory import CommitStock, Place, ReleaseStock, ReserveStock
from contracts.events.orders import OrderCollected
from services.inventory.domain import reservation as rules
from services.inventory.domain.reservation import Reservation, ReservationDecision, ReservationState
from services.inventory.repository.load_set import EXPIRE, expiry_of
from services.inventory.repository.stock import StockRepository


def reserve(repository: StockRepository, command: ReserveStock) -> None:
    """Claim stock, or refuse it with the available quantities."""
    stock = {line.item: repository.stock(command.pool, line.item) for line in command.lines}
    known = repository.reservations.get(command.reservation)
    source = repository.reservations.get(command.source) if command.source else None
    apply_decision(repository, rules.reserve(known, command, stock, source, repository.uow.now))


def release(repository: StockRepository, command: ReleaseStock) -> None:
    """Give up a claim, or record that it was given up before it was made."""
    apply_decision(repository, rules.release(repository.reservations.get(command.reservation), command))


def commit(repository: StockRepository, command: CommitStock) -> None:
    """Make a hold firm."""
    apply_decision(repository, rules.commit(repository.reservations.get(command.reservation), command))


def expire(repository: StockRepository, id: UUID) -> None:
    """End a hold that is due; no effect where it was committed or has ended."""
    apply_decision(repository, rules.expire(repository.reservations.get(id), repository.uow.now))


def hand_out(repository: StockRepository, fact: JobLoaded | OrderCollected, place: Place) -> None:
    """Move the goods of a reservation to a courier or buyer."""
    known = repository.reservations.get(fact.reservation)
    reported = Reservation(fact.reservation, fact.pool, fact.order, ReservationState.TOMBSTONE, tuple(fact.lines))
    lines = reported.lines or (known.lines if known else ())
    lots = {line.item: repository.lots_of(fact.pool, line.item) for line in lines}
    apply_decision(repository, rules.hand_out(known, reported, place, lots, repository.uow.now))


def return_goods(repository: StockRepository, id: UUID) -> None:
    """Put the goods of a reservation that come back from the courier on hand again."""
    known = repository.reservations.get(id)
    apply_decision(repository, rules.return_goods(known, repository.history(known.cause) if known else ()))


def release_uncollected(repository: StockRepository, id: UUID) -> None:
    """End the claim of a pickup that was not collected."""
    apply_decision(repository, rules.release_uncollected(repository.reservations.get(id)))


def apply_decision(repository: StockRepository, decision: ReservationDecision) -> None:
    """Apply a decision: reservations with the deadlines of holds, movements, and the answer."""
    for after in decision.reservations:
        before = repository.reservations.get(after.id)
        if after.state is ReservationState.HELD and after.expires_at:
            repository.uow.set_deadline(EXPIRE, expiry_of(after.pool, after.id), after.expires_at)
        elif before and before.state is ReservationState.HELD:
            repository.uow.clear_deadline(EXPIRE, expiry_of(after.pool, after.id))
        repository.reservations.put(after)
    repository.apply(decision.moves)
    if decision.answer:
        repository.uow.emit(decision.answer)
