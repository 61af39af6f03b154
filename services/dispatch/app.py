"""The service dispatch: what it reads, how it handles it, what it serves."""

from __future__ import annotations

from pathlib import Path

from contracts.events.catalog import CourierPut, ItemPut, MarketDayPut, SitePut, StationPut
from contracts.events.dispatch import CancelDelivery, ScheduleDelivery
from contracts.events.orders import RecipientPut
from contracts.registry import MODELS
from services.dispatch import background, handlers
from services.dispatch.api.courier import redriven
from services.dispatch.api.routes import ROUTERS
from services.dispatch.repository import WaveRepository, gauges
from services.dispatch.settings import quote_key
from services.kit.consumer.subscription import Subscription
from services.kit.process.service import Service
from services.kit.transaction.message import Erased
from services.kit.transaction.unit_of_work import UnitOfWork


def open_repository(uow: UnitOfWork) -> WaveRepository:
    """A book that believes this deployment's promises."""
    return WaveRepository(uow, quote_key())


SERVICE = Service(
    name="dispatch",
    migrations=Path(__file__).parent / "migrations",
    subscriptions=(
        Subscription(
            "dispatch.command.v1",
            {ScheduleDelivery: handlers.on_schedule, CancelDelivery: handlers.on_cancel},
        ),
        Subscription(
            "orders.catalog.v1",
            {
                ItemPut: handlers.on_entry,
                SitePut: handlers.on_entry,
                StationPut: handlers.on_entry,
                CourierPut: handlers.on_entry,
                MarketDayPut: handlers.on_market_day,
            },
        ),
        Subscription("orders.recipient.v1", {RecipientPut: handlers.on_recipient, Erased: handlers.on_erased}),
    ),
    open_repository=open_repository,
    models=MODELS,
    on_due=handlers.on_due,
    routes=ROUTERS,
    on_upload=redriven,
    background=(background.run,),
    gauges=(gauges.blocked,),
    checks={"waves": gauges.waves},
)
