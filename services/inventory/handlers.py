"""Handlers: one for each message type, which calls its use case. They are synchronous: the batch's rows are loaded."""

from __future__ import annotations

from uuid import UUID

from contracts.events.catalog import CatalogEvent, HouseholdPut, ItemPut, MarketDayPut, TerminalPut
from contracts.events.dispatch import JobLoaded, JobReturned
from contracts.events.inventory import CommitStock, Place, ReleaseStock, ReserveStock
from contracts.events.orders import OrderCollected, OrderReturned, SaleRecorded, SaleVoided, SessionClosed
from contracts.values import Fulfilment
from services.inventory.commands import allotment, reservation
from services.inventory.repository.load_set import EXPIRE, LAPSE
from services.inventory.repository.stock import StockRepository
from services.kit.consumer.subscription import Subscription
from services.kit.errors import Unprocessable
from services.kit.identity.events import PRINCIPALS
from services.kit.transaction.message import DeadlineReached, Message


def on_reserve(repository: StockRepository, message: Message[ReserveStock]) -> None:
    """Claims stock, or refuses it."""
    reservation.reserve(repository, message.data)


def on_release(repository: StockRepository, message: Message[ReleaseStock]) -> None:
    """Gives up a claim."""
    reservation.release(repository, message.data)


def on_commit(repository: StockRepository, message: Message[CommitStock]) -> None:
    """Makes a hold firm."""
    reservation.commit(repository, message.data)


def on_loaded(repository: StockRepository, message: Message[JobLoaded]) -> None:
    """Moves the goods to the courier's vehicle."""
    reservation.hand_out(repository, message.data, Place.COURIER)


def on_collected(repository: StockRepository, message: Message[OrderCollected]) -> None:
    """Moves the goods to the buyer."""
    reservation.hand_out(repository, message.data, Place.BUYER)


def on_job_returned(repository: StockRepository, message: Message[JobReturned]) -> None:
    """Puts the goods that the courier brings back on hand again."""
    reservation.return_goods(repository, message.data.reservation)


def on_order_returned(repository: StockRepository, message: Message[OrderReturned]) -> None:
    """Ends the claim of an uncollected pickup. A delivery's goods are returned by `job-returned`."""
    if message.data.fulfilment is Fulfilment.PICKUP:
        reservation.release_uncollected(repository, message.data.reservation)


def on_sale(repository: StockRepository, message: Message[SaleRecorded]) -> None:
    """Records a stall sale."""
    allotment.sell(repository, message.data)


def on_void(repository: StockRepository, message: Message[SaleVoided]) -> None:
    """Undoes a stall sale."""
    allotment.void(repository, message.data)


def on_session_closed(repository: StockRepository, message: Message[SessionClosed]) -> None:
    """Closes a stall session, if every upload of it has arrived."""
    if message.data.complete:
        allotment.close_session(repository, message.data.terminal, message.data.pool)


def on_catalog_put(repository: StockRepository, message: Message[CatalogEvent]) -> None:
    """Replaces a catalogue entity."""
    repository.put_catalog(message.data)


def on_due(repository: StockRepository, message: Message[DeadlineReached]) -> None:
    """Ends a hold or a lease that is due, unless it was committed or renewed meanwhile."""
    match message.data.kind, message.data.subject.split("/"):
        case kind, [_pool, id] if kind == EXPIRE:
            reservation.expire(repository, UUID(id))
        case kind, [pool, terminal, item] if kind == LAPSE:
            allotment.lapse(repository, pool, terminal, item)
        case kind, _:
            raise Unprocessable(f"unknown deadline {kind} of {message.data.subject}, expected {EXPIRE} or {LAPSE}")


SUBSCRIPTIONS = (
    Subscription(
        "inventory.command.v1",
        {
            ReserveStock: on_reserve,
            ReleaseStock: on_release,
            CommitStock: on_commit,
        },
        blocking_by_key=False,  # a pool must not stop for one bad command
    ),
    Subscription(
        "orders.catalog.v1",
        {
            ItemPut: on_catalog_put,
            TerminalPut: on_catalog_put,
            MarketDayPut: on_catalog_put,
            HouseholdPut: on_catalog_put,
        },
    ),
    Subscription(
        "orders.stall.v1",
        {
            SaleRecorded: on_sale,
            SaleVoided: on_void,
            SessionClosed: on_session_closed,
        },
    ),
    Subscription(
        "orders.order.v1",
        {
            OrderCollected: on_collected,
            OrderReturned: on_order_returned,
        },
    ),
    Subscription(
        "dispatch.job.v1",
        {
            JobLoaded: on_loaded,
            JobReturned: on_job_returned,
        },
    ),
    PRINCIPALS,
)
