"""Plays a day: everybody at once, then waits until nothing moves any more."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from deploy.scenarios.drivers import buyers, catalogue, couriers, dispatcher, intake, points, stalls
from deploy.scenarios.drivers.world import ENDED, World
from deploy.scenarios.seen import Seen

# Real seconds that the last orders and records have after the day's last deadline.
PATIENCE_S = 45.0


async def play(world: World) -> None:
    """The whole day. An error of any actor ends it and is raised, with what the actor was doing.

    Who is not done some time after the last deadline is sent home: what is open then shows in the figures.
    """
    await catalogue.write(world)
    with suppress(TimeoutError):
        async with asyncio.timeout(_last(world)), asyncio.TaskGroup() as people:
            for part in (intake.bring, buyers.live, stalls.run, points.keep, dispatcher.run, couriers.run):
                people.create_task(part(world), name=part.__module__)


def _last(world: World) -> float:
    return world.pace.seconds_until(world.day.scenario.points_close) + PATIENCE_S


async def quiet(world: World, seen: Seen, behind: Callable[[], dict[str, int]]) -> list[str]:
    """Returns once every order has ended and every consumer has read everything; else what is still open, in words."""
    await world.pace.until(world.day.scenario.points_close)
    while still := _open(world, seen, await asyncio.to_thread(behind)):
        if _last(world) < 0:
            return still
        await asyncio.sleep(0.2)
    return []


def _open(world: World, seen: Seen, lags: dict[str, int]) -> list[str]:
    states = seen.ends(world.day.market_day)
    still = [f"{count} orders are {state}" for state, count in states.items() if state not in ENDED]
    if unseen := len(world.day.orders) - sum(states.values()):
        still.append(f"{unseen} orders are not on the topic")
    return still + [f"{group} is {lag} records behind" for group, lag in lags.items()]


async def states(world: World) -> Counter[str]:
    """The orders of the day by state, as the desk's list shows them page by page."""
    found, cursor = Counter[str](), None
    while True:
        query: dict[str, Any] = {"market_day": world.day.market_day, "limit": 500}
        if cursor:
            query["cursor"] = cursor
        page = await world.api.get("operator", "orders", "/v1/orders", **query)
        found.update(order["state"] for order in page["items"])
        cursor = page["next"]
        if not cursor:
            return found
