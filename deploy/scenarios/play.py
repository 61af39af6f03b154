"""Plays a day: everybody at once, then waits until nothing moves any more."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from deploy.scenarios.drivers import buyers, catalogue, couriers, desk, dispatcher, group_buys, intake, points, stalls
from deploy.scenarios.drivers.world import ENDED, World
from deploy.scenarios.seen import Seen

# Real seconds that the last orders and records have after the day's last deadline.
PATIENCE_S = 45.0
PARTS = (
    intake.bring, buyers.live, group_buys.run, stalls.run, points.keep, dispatcher.run, couriers.run,
)  # fmt: skip


async def play(world: World) -> None:
    """The whole day. An error of any actor ends it and is raised, with what the actor was doing.

    Who is not done some time after the last deadline is sent home: what is open then shows in the figures.
    """
    await catalogue.write(world)
    with suppress(TimeoutError):
        async with asyncio.timeout(_last(world)), asyncio.TaskGroup() as people:
            for part in PARTS:
                people.create_task(part(world), name=part.__module__)


def _last(world: World) -> float:
    return world.pace.seconds_until(world.day.scenario.points_close) + PATIENCE_S


async def quiet(world: World, seen: Seen, orders: int, behind: Callable[[], dict[str, int]]) -> list[str]:
    """Returns once so many orders have ended and every consumer has read everything; else what is open, in words."""
    await world.pace.until(world.day.scenario.points_close)
    while still := _open(world, seen, orders, await asyncio.to_thread(behind)):
        if _last(world) < 0:
            return still
        await asyncio.sleep(0.2)
    return []


def _open(world: World, seen: Seen, orders: int, lags: dict[str, int]) -> list[str]:
    states = seen.ends(world.day.market_day)
    still = [f"{count} orders are {state}" for state, count in states.items() if state not in ENDED]
    if unseen := orders - sum(states.values()):
        still.append(f"{unseen} orders are not on the topic")
    return still + [f"{group} is {lag} records behind" for group, lag in lags.items()]


async def states(world: World) -> Counter[str]:
    """The orders of the day by state, as the desk's list shows them."""
    return Counter([order["state"] async for order in desk.orders(world)])
