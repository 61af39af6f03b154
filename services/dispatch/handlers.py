"""Message handlers. None awaits: the repository has loaded and locked all rows that a handler uses."""

from __future__ import annotations

from uuid import UUID

from contracts.events.catalog import CatalogEvent, CourierPut, ItemPut, MarketDayPut, SitePut, StationPut
from contracts.events.dispatch import CancelDelivery, ScheduleDelivery
from contracts.events.orders import RecipientPut
from services.dispatch.commands import job as jobs
from services.dispatch.commands.wave import CUTOFF, cut_wave, open_waves
from services.dispatch.domain.recipient import Recipient
from services.dispatch.repository import WaveRepository
from services.kit.consumer.subscription import Subscription
from services.kit.identity.events import PRINCIPALS
from services.kit.transaction.message import DeadlineReached, Erased, Message


def on_schedule(repository: WaveRepository, message: Message[ScheduleDelivery]) -> None:
    """Create a job; it gets its place in a wave now, or when the inputs that it lacks have arrived."""
    jobs.schedule(repository, message.data)


def on_cancel(repository: WaveRepository, message: Message[CancelDelivery]) -> None:
    """Cancel a job: granted until its routes are handed out, and remembered if the job is unknown."""
    jobs.cancel(repository, message.data)


def on_recipient(repository: WaveRepository, message: Message[RecipientPut]) -> None:
    """Record the person of an order; a job that waited for it is placed."""
    repository.put_recipient(Recipient(**message.data.model_dump()))
    _settle_jobs_of(repository, message.data.order)


def on_erased(repository: WaveRepository, message: Message[Erased]) -> None:
    """Erase the person of an order. Jobs that cannot be delivered without it are refused."""
    order = UUID(message.data.key)
    repository.put_recipient(Recipient(order, erased=True))
    _settle_jobs_of(repository, order)


def on_entry(repository: WaveRepository, message: Message[CatalogEvent]) -> None:
    """Record a catalogue entry; jobs that waited for it are placed."""
    repository.put_entry(message.data)
    for job in [job for job in repository.jobs.values() if message.data.key in job.waits]:
        jobs.settle(repository, job)


def on_market_day(repository: WaveRepository, message: Message[MarketDayPut]) -> None:
    """Record a market day: its waves are opened before the jobs that waited for it are placed."""
    open_waves(repository, message.data)
    on_entry(repository, message)


def on_due(repository: WaveRepository, message: Message[DeadlineReached]) -> None:
    """Cut a wave at its cutoff."""
    wave = repository.waves.get(message.data.subject)
    if wave and message.data.kind == CUTOFF:
        cut_wave(repository, wave)


def _settle_jobs_of(repository: WaveRepository, order: UUID) -> None:
    for job in [job for job in repository.jobs.values() if job.order == order]:
        jobs.settle(repository, job)


SUBSCRIPTIONS = (
    Subscription("dispatch.command.v1", {ScheduleDelivery: on_schedule, CancelDelivery: on_cancel}),
    Subscription(
        "orders.catalog.v1",
        {
            ItemPut: on_entry,
            SitePut: on_entry,
            StationPut: on_entry,
            CourierPut: on_entry,
            MarketDayPut: on_market_day,
        },
    ),
    Subscription("orders.recipient.v1", {RecipientPut: on_recipient, Erased: on_erased}),
    PRINCIPALS,
)
