"""What the inventory service consists of."""

from __future__ import annotations

from pathlib import Path

from contracts import registry
from contracts.events.catalog import HouseholdPut, ItemPut, MarketDayPut, TerminalPut
from contracts.events.dispatch import JobLoaded, JobReturned
from contracts.events.inventory import CommitStock, ReleaseStock, ReserveStock
from contracts.events.orders import OrderCollected, OrderReturned, SaleRecorded, SaleVoided, SessionClosed
from services.inventory import handlers
from services.inventory.api.routes import ROUTERS
from services.inventory.repository.gauges import overdrawn
from services.inventory.repository.stock import StockRepository
from services.kit.consumer.subscription import Subscription
from services.kit.process.service import Service

SUBSCRIPTIONS = (
    Subscription(
        "inventory.command.v1",
        {
            ReserveStock: handlers.on_reserve,
            ReleaseStock: handlers.on_release,
            CommitStock: handlers.on_commit,
        },
        blocking_by_key=False,  # a pool must not stop for one bad command
    ),
    Subscription(
        "orders.catalog.v1",
        {
            ItemPut: handlers.on_catalog_put,
            TerminalPut: handlers.on_catalog_put,
            MarketDayPut: handlers.on_catalog_put,
            HouseholdPut: handlers.on_catalog_put,
        },
    ),
    Subscription(
        "orders.stall.v1",
        {
            SaleRecorded: handlers.on_sale,
            SaleVoided: handlers.on_void,
            SessionClosed: handlers.on_session_closed,
        },
    ),
    Subscription(
        "orders.order.v1",
        {
            OrderCollected: handlers.on_collected,
            OrderReturned: handlers.on_order_returned,
        },
    ),
    Subscription(
        "dispatch.job.v1",
        {
            JobLoaded: handlers.on_loaded,
            JobReturned: handlers.on_job_returned,
        },
    ),
)

SERVICE = Service(
    name="inventory",
    migrations=Path(__file__).parent / "migrations",
    subscriptions=SUBSCRIPTIONS,
    open_repository=StockRepository,
    models=registry.MODELS,
    on_due=handlers.on_due,
    routes=ROUTERS,
    gauges=(overdrawn,),
)
