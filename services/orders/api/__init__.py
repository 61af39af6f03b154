"""The HTTP routes of orders."""

from __future__ import annotations

from fastapi import APIRouter

from services.kit.service import Context
from services.orders.api import campaigns, catalog, erasing, orders, terminals
from services.orders.api.intake import Intake
from services.orders.repository.catalog import CatalogCache
from services.orders.settings import OrderSettings


def routes(context: Context) -> APIRouter:
    """All routes of the service; they share one copy of the catalogue."""
    cache = CatalogCache()
    router = APIRouter()
    router.include_router(orders.routes(context, Intake(context, cache, OrderSettings().hold_ttl_s)))
    router.include_router(erasing.routes(context))
    router.include_router(campaigns.routes(context, cache))
    router.include_router(catalog.routes(context))
    router.include_router(terminals.routes(context, cache))
    return router
