"""What dispatch does with each message. No awaits: the book has loaded and locked all that a handler touches."""

from __future__ import annotations

from uuid import UUID

from contracts.events.catalog import CatalogEvent, MarketDayPut
from contracts.events.dispatch import CancelDelivery, ScheduleDelivery
from contracts.events.orders import RecipientPut
from services.dispatch.commands import waves
from services.dispatch.domain.delivery import Recipient
from services.dispatch.domain.promise import verified
from services.dispatch.domain.state_machine import decide
from services.dispatch.repository import WaveRepository
from services.kit.transaction.message import DeadlineReached, Erased, Message


def on_schedule(book: WaveRepository, message: Message[ScheduleDelivery]) -> None:
    """A job is asked for: it gets a place in a wave now, or when what it needs has come."""
    ask = message.data
    quote = verified(book.quote_key, ask.quote)
    job = book.take(decide(book.job_about(ask), ask.model_copy(update={"quote": quote})))
    waves.settle(book, job)


def on_cancel(book: WaveRepository, message: Message[CancelDelivery]) -> None:
    """A job is not wanted any more: granted until its routes are handed out, and remembered if it is unknown."""
    book.take(decide(book.job_about(message.data), message.data))


def on_recipient(book: WaveRepository, message: Message[RecipientPut]) -> None:
    """The person of an order has come; a job that waited for it goes on."""
    book.put_recipient(Recipient(**message.data.model_dump()))
    _go_on(book, message.data.order)


def on_erased(book: WaveRepository, message: Message[Erased]) -> None:
    """The person of an order is forgotten. What cannot be delivered without it is refused."""
    order = UUID(message.data.key)
    book.put_recipient(Recipient(order, erased=True))
    _go_on(book, order)


def on_entry(book: WaveRepository, message: Message[CatalogEvent]) -> None:
    """A catalogue entry has come or changed; jobs that waited for it go on."""
    book.put_entry(message.data)
    for job in [job for job in book.jobs.values() if message.data.key in job.waits]:
        waves.settle(book, job)


def on_market_day(book: WaveRepository, message: Message[MarketDayPut]) -> None:
    """A market day has come or changed: its waves open before the jobs that waited for it go on."""
    waves.open_waves(book, message.data)
    on_entry(book, message)


def on_due(book: WaveRepository, message: Message[DeadlineReached]) -> None:
    """The cutoff of a wave has come."""
    wave = book.waves.get(message.data.subject)
    if wave and message.data.kind == waves.CUTOFF:
        waves.cut(book, wave)


def _go_on(book: WaveRepository, order: UUID) -> None:
    for job in [job for job in book.jobs.values() if job.order == order]:
        waves.settle(book, job)
