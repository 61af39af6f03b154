"""The HTTP routes of orders."""

from __future__ import annotations

from fastapi import APIRouter

from services.kit.process.service import Context
from services.orders.api import campaign, catalog, order, stall
from services.orders.commands import erase_person
from services.orders.commands.place_orders import Intake
from services.orders.repository.catalog import CatalogCache
from services.orders.settings import OrderSettings


def routes(context: Context) -> APIRouter:
    """All routes of the service; they share one copy of the catalogue."""
    cache = CatalogCache()
    router = APIRouter()
    router.include_router(order.routes(context, Intake(context, cache, OrderSettings().hold_ttl_s)))
    router.include_router(erase_person.routes(context))
    router.include_router(campaign.routes(context, cache))
    router.include_router(catalog.routes(context))
    router.include_router(stall.routes(context, cache))
    return router
