"""The orders service as data: catalogue, orders, group-buys and stall uploads."""

from __future__ import annotations

from pathlib import Path

from contracts.registry import MODELS
from services.kit.process.service import Service
from services.orders.api.capability import OrderCapabilities
from services.orders.api.order import FAST_PATH
from services.orders.api.routes import ROUTERS
from services.orders.commands.catalog import CatalogCheck
from services.orders.commands.changes import Changes
from services.orders.commands.stall import apply_kept_upload
from services.orders.commands.use_cases import UseCases
from services.orders.handlers import SUBSCRIPTIONS, on_deadline
from services.orders.repository.postgres import PostgresStore
from services.orders.repository.postgres_order import prune_holds


def _capabilities(use_cases: UseCases | None) -> OrderCapabilities:
    return OrderCapabilities(use_cases.capability_key if use_cases else None)  # no use cases: for the documents only


SERVICE = Service(
    name="orders",
    migrations=Path(__file__).parent / "migrations",
    subscriptions=SUBSCRIPTIONS,
    open_repository=Changes,
    store=PostgresStore,
    models=MODELS,
    on_due=on_deadline,
    use_cases=UseCases,
    capabilities=_capabilities,
    routes=ROUTERS,
    public=("POST /v1/payments/{provider}/callbacks",),
    fast_paths=(FAST_PATH,),
    on_upload=apply_kept_upload,
    prune=(prune_holds,),
    checks={"catalogue": CatalogCheck(PostgresStore)},
)
