"""The inventory service: its migrations, subscriptions, routes and gauges."""

from __future__ import annotations

from pathlib import Path

from contracts import registry
from services.inventory.api.routes import ROUTERS
from services.inventory.handlers import SUBSCRIPTIONS, on_due
from services.inventory.repository.gauges import overdrawn
from services.inventory.repository.postgres import PostgresStock
from services.inventory.repository.stock import StockRepository
from services.kit.process.service import Service

SERVICE = Service(
    name="inventory",
    migrations=Path(__file__).parent / "migrations",
    subscriptions=SUBSCRIPTIONS,
    open_repository=StockRepository,
    store=PostgresStock,
    models=registry.MODELS,
    on_due=on_due,
    routes=ROUTERS,
    gauges=(overdrawn,),
)
