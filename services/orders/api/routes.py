"""The HTTP routes of orders."""

from __future__ import annotations

from fastapi import APIRouter

from services.kit.context import Context
from services.orders.api import campaign, catalog, order, stall
from services.orders.commands import erase_person
from services.orders.commands.place_orders import Intake
from services.orders.repository.catalog import CatalogCache
from services.orders.settings import OrderSettings


class UseCases:
    """The objects that the routes of one process share: the context, a copy of the catalogue, the accept path."""

    def __init__(self, context: Context) -> None:
        self.context, self.catalog = context, CatalogCache()
        self.intake = Intake(context, self.catalog, OrderSettings().hold_ttl_s)


def routes(use_cases: UseCases) -> APIRouter:
    """Return all routes of the service."""
    context, cache = use_cases.context, use_cases.catalog
    router = APIRouter()
    router.include_router(order.routes(context, use_cases.intake))
    router.include_router(erase_person.routes(context))
    router.include_router(campaign.routes(context, cache))
    router.include_router(catalog.routes(context))
    router.include_router(stall.routes(context, cache))
    return router
