"""The orders service as data: who sells what to whom."""

from __future__ import annotations

from pathlib import Path

from contracts.registry import MODELS
from services.kit.process.service import Service
from services.orders.api.order import FAST_PATH
from services.orders.api.routes import UseCases, routes
from services.orders.api.stall import redriven
from services.orders.handlers import SUBSCRIPTIONS, on_due
from services.orders.repository import catalog
from services.orders.repository.order import OrderRepository

SERVICE = Service(
    name="orders",
    migrations=Path(__file__).parent / "migrations",
    subscriptions=SUBSCRIPTIONS,
    open_repository=OrderRepository,
    models=MODELS,
    on_due=on_due,
    use_cases=UseCases,
    routes=routes,
    fast_paths=(FAST_PATH,),
    on_upload=redriven,
    checks={"catalogue": catalog.CatalogCheck()},
)
