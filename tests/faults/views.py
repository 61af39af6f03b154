"""Reads the state of the services over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from deploy.audit.invariants.facts import Views
from tests.faults.chaos import SERVICES
from tests.faults.client import Client

ACTIVE_STATES = ("placed", "held", "reserved", "scheduled", "ready", "loaded", "cancelling", "failing")


async def read_views(client: Client) -> Views:
    """Read all orders, jobs, stock and dead letters, page by page."""
    return Views(
        orders={row["order_id"]: row async for row in _pages(client, "orders", "/v1/orders", "items")},
        jobs={row["job"]: row async for row in _pages(client, "dispatch", "/v1/jobs", "jobs")},
        stock={(row["pool"], row["item"]): row async for row in _pages(client, "inventory", "/v1/stock", "stock")},
        dead_letters=[
            f"{service}: {row}" for service in SERVICES async for row in _pages(client, service, "/v1/parked", "parked")
        ],
    )


async def all_orders_ended(client: Client) -> bool:
    """Return True if no order is in progress, by the operator's lists."""
    for state in ACTIVE_STATES:
        page = await client.get("operator", "orders", "/v1/orders", state=state, limit=1)
        if page is None or page["items"]:
            return False
    return True


async def _pages(client: Client, service: str, path: str, name: str) -> AsyncIterator[Mapping[str, Any]]:
    cursor = None
    while True:
        page = await client.get("operator", service, path, limit=500, cursor=cursor)
        assert page is not None, f"{service} does not show {path}"
        for row in page[name]:
            yield row
        cursor = page["next"]
        if not cursor:
            return
