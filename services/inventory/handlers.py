"""What each message does: look up in the book, ask the domain, put back, tell. Nothing here waits."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from contracts.events.catalog import CatalogEvent
from contracts.events.dispatch import JobLoaded, JobReturned
from contracts.events.inventory import AllotmentLapsed, CommitStock, Place, ReleaseStock, ReserveStock
from contracts.events.orders import (
    OrderCollected,
    OrderReturned,
    SaleRecorded,
    SaleVoided,
    SessionClosed,
)
from contracts.values import Fulfilment
from services.inventory.domain import allotment as lending
from services.inventory.domain import reservation as reserving
from services.inventory.domain.reservation import Reservation, ReservationDecision, ReservationState
from services.inventory.domain.sale import Sale
from services.inventory.repository.load_set import EXPIRE, expiry_of
from services.inventory.repository.stock import StockRepository
from services.kit.errors import Unprocessable
from services.kit.transaction.message import DeadlineReached, Message


def on_reserve(book: StockRepository, message: Message[ReserveStock]) -> None:
    """Claims stock, or refuses with what there was."""
    command = message.data
    stock = {line.item: book.stock(command.pool, line.item) for line in command.lines}
    known = book.reservations.get(command.reservation)
    source = book.reservations.get(command.source) if command.source else None
    carry_out(book, reserving.reserve(known, command, stock, source, book.uow.now))


def on_release(book: StockRepository, message: Message[ReleaseStock]) -> None:
    """Gives up a claim, or remembers that it was given up before it was made."""
    carry_out(book, reserving.release(book.reservations.get(message.data.reservation), message.data))


def on_commit(book: StockRepository, message: Message[CommitStock]) -> None:
    """Makes a hold firm."""
    carry_out(book, reserving.commit(book.reservations.get(message.data.reservation), message.data))


def carry_out(book: StockRepository, decision: ReservationDecision) -> None:
    """Puts a decision into the book: reservations with the deadlines of holds, movements, the answer."""
    for after in decision.reservations:
        before = book.reservations.get(after.id)
        if after.state is ReservationState.HELD and after.expires_at:
            book.uow.set_deadline(EXPIRE, expiry_of(after.pool, after.id), after.expires_at)
        elif before and before.state is ReservationState.HELD:
            book.uow.clear_deadline(EXPIRE, expiry_of(after.pool, after.id))
        book.reservations.put(after)
    book.apply(decision.moves)
    if decision.answer:
        book.uow.emit(decision.answer)


def on_loaded(book: StockRepository, message: Message[JobLoaded]) -> None:
    """The goods are on a courier's vehicle."""
    _hand_out(book, message.data, Place.COURIER)


def on_collected(book: StockRepository, message: Message[OrderCollected]) -> None:
    """The goods are in the buyer's hands."""
    _hand_out(book, message.data, Place.BUYER)


def _hand_out(book: StockRepository, fact: JobLoaded | OrderCollected, place: Place) -> None:
    known = book.reservations.get(fact.reservation)
    told = Reservation(fact.reservation, fact.pool, fact.order, ReservationState.TOMBSTONE, tuple(fact.lines))
    lines = told.lines or (known.lines if known else ())
    lots = {line.item: book.lots_of(fact.pool, line.item) for line in lines}
    carry_out(book, reserving.hand_out(known, told, place, lots, book.uow.now))


def on_job_returned(book: StockRepository, message: Message[JobReturned]) -> None:
    """The goods are back from the courier."""
    known = book.reservations.get(message.data.reservation)
    carry_out(book, reserving.bring_back(known, book.history(known.cause) if known else ()))


def on_order_returned(book: StockRepository, message: Message[OrderReturned]) -> None:
    """A pickup was not collected. A delivery's goods come back by `job-returned`."""
    if message.data.fulfilment is Fulfilment.PICKUP:
        carry_out(book, reserving.hand_back(book.reservations.get(message.data.reservation)))


def on_sale(book: StockRepository, message: Message[SaleRecorded]) -> None:
    """Goods left a stall's table. A sale whose void came first has no effect."""
    fact = message.data
    if book.sales.get(fact.sale):
        return
    sale = Sale(fact.sale, fact.terminal, fact.pool)
    book.sales.put(sale)
    sold: dict[str, int] = {}
    for line in fact.lines:
        sold[line.item] = sold.get(line.item, 0) + line.quantity
    for item, quantity in sold.items():
        was = book.allotment(fact.terminal, fact.pool, item)
        lots = book.lots_of(fact.pool, item)
        change = lending.sell(was, quantity, sale.cause, lots, book.history(was.loss_cause), book.uow.now)
        book.put_allotment(change)


def on_void(book: StockRepository, message: Message[SaleVoided]) -> None:
    """A sale was undone: its goods are on the table again."""
    fact = message.data
    known = book.sales.get(fact.sale) or Sale(fact.sale, fact.terminal, fact.pool)
    if known.voided:
        return
    book.sales.put(replace(known, voided=True))
    moves = book.history(known.cause)
    for item in dict.fromkeys(move.item for move in moves):
        was = book.allotment(known.terminal, known.pool, item)
        lots = book.lots_of(known.pool, item)
        book.put_allotment(lending.void(was, moves, known.cause, book.uow.now, lots))


def on_session_closed(book: StockRepository, message: Message[SessionClosed]) -> None:
    """A stall session whose every upload has arrived: with a counted return, what is left over is lost."""
    if message.data.complete:
        for allotment in tuple(book.allotments.values()):
            if (allotment.terminal, allotment.pool) == (message.data.terminal, message.data.pool):
                book.put_allotment(lending.close(allotment, book.lots_of(allotment.pool, allotment.item)))


def on_due(book: StockRepository, message: Message[DeadlineReached]) -> None:
    """A hold's time or a lease is over, if it still is so."""
    match message.data.kind, message.data.subject.split("/"):
        case "expire", [_pool, reservation]:
            carry_out(book, reserving.expire(book.reservations.get(UUID(reservation)), book.uow.now))
        case "lapse", [pool, terminal, item]:
            before = book.allotment(terminal, pool, item)
            change = lending.lapse(before, book.uow.now, f"allotment/{pool}/{terminal}/{item}")
            if change[1]:
                after = book.put_allotment(change)
                book.uow.emit(lending.told(AllotmentLapsed, after, before.allotted))
        case _:
            raise Unprocessable(f"no deadline of this kind: {message.data.kind}")


def on_catalog_put(book: StockRepository, message: Message[CatalogEvent]) -> None:
    """The catalogue entity as it stands now."""
    kind, _, id = message.data.key.partition("/")
    book.catalog[kind, id] = message.data.model_dump(mode="json")
