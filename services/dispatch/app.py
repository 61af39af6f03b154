"""The service dispatch: what it reads, how it handles it, what it serves."""

from __future__ import annotations

from pathlib import Path

from contracts.events.catalog import CourierPut, ItemPut, MarketDayPut, SitePut, StationPut
from contracts.events.dispatch import CancelDelivery, ScheduleDelivery
from contracts.events.orders import RecipientPut
from contracts.registry import MODELS
from services.dispatch import api, desk, handlers
from services.dispatch.api.couriers import redriven
from services.dispatch.repository import DispatchBook, signals
from services.dispatch.settings import quote_key
from services.kit.consumer import Subscription
from services.kit.message import Erased
from services.kit.service import Service
from services.kit.unit_of_work import UnitOfWork


def open_book(uow: UnitOfWork) -> DispatchBook:
    """A book that believes this deployment's promises."""
    return DispatchBook(uow, quote_key())


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
    open_book=open_book,
    models=MODELS,
    on_due=handlers.on_due,
    routes=api.ROUTERS,
    on_upload=redriven,
    background=(desk.run,),
    signals=(signals.blocked,),
    checks={"waves": signals.waves},
)
