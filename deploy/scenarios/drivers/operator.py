"""The operator's list of the day's orders."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from deploy.scenarios.drivers.world import World

PAGE = 500
Row = dict[str, Any]


async def orders(world: World, state: str | None = None) -> AsyncIterator[Row]:
    """Yield every order, or those in a state, page by page."""
    query: dict[str, Any] = {"market_day": world.day.market_day, "limit": PAGE} | ({"state": state} if state else {})
    while True:
        page = await world.api.get("operator", "orders", "/v1/orders", **query)
        for order in page["items"]:
            yield order
        if not page["next"]:
            return
        query["cursor"] = page["next"]
