"""Reads the state of the services over HTTP."""

from __future__ import annotations

from deploy.audit.invariants.facts import Views
from deploy.scenarios.actors.client import rows
from deploy.scenarios.actors.requests import read
from tests.faults.chaos import SERVICES
from tests.faults.client import HistoryClient

ACTIVE_STATES = ("placed", "held", "reserved", "scheduled", "ready", "loaded", "cancelling", "failing")


async def read_views(client: HistoryClient) -> Views:
    """Read all orders, jobs, stock and dead letters, page by page."""
    return Views(
        orders={row["order_id"]: row async for row in rows(client, "orders", "/v1/orders", "items")},
        jobs={row["job"]: row async for row in rows(client, "dispatch", "/v1/jobs", "jobs")},
        stock={(row["pool"], row["item"]): row async for row in rows(client, "inventory", "/v1/stock", "stock")},
        dead_letters=[
            f"{service}: {row}" for service in SERVICES async for row in rows(client, service, "/v1/parked", "parked")
        ],
    )


async def all_orders_ended(client: HistoryClient) -> bool:
    """Return True if no order is in progress, by the operator's lists."""
    for state in ACTIVE_STATES:
        page = await client.get(read("operator", "orders", "/v1/orders", state=state, limit=1))
        if page is None or page["items"]:
            return False
    return True
