"""Plays a day: everybody at once, then waits until nothing moves any more."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from deploy.scenarios.drivers import buyers, couriers, dispatcher, group_buys, intake, operator, points, stalls
from deploy.scenarios.drivers.world import ENDED, World
from deploy.scenarios.outcome.observed import Observed
from deploy.scenarios.run.backlog import Backlog
from deploy.scenarios.run.day_clock import STUCK_S

PARTS = (
    intake.bring, buyers.live, group_buys.run, stalls.run, points.keep, dispatcher.run, couriers.run,
)  # fmt: skip


async def run_actors(world: World) -> None:
    """Play the whole day, whose catalogue is written. An error of any actor ends it and is raised."""
    async with asyncio.TaskGroup() as people:
        for part in PARTS:
            people.create_task(part(world), name=part.__module__)


async def wait_until_idle(world: World, seen: Observed, orders: int, backlog: Backlog) -> list[str]:
    """Return once so many orders have ended and the services have handled everything.

    After a minute in which nothing gets on: what is open, in words.
    """
    await world.pace.until(world.day.scenario.points_close)
    before, since = None, time.monotonic()
    while still := _open(world, seen, orders, backlog):
        now = still, backlog.moved
        if now != before:
            before, since = now, time.monotonic()
        elif time.monotonic() - since > STUCK_S:
            return still
        await asyncio.sleep(0.1)
    return []


def _open(world: World, seen: Observed, orders: int, backlog: Backlog) -> list[str]:
    order_states = seen.ends(world.day.market_day)
    still = [f"{count} orders are {state}" for state, count in order_states.items() if state not in ENDED]
    if unseen := orders - sum(order_states.values()):
        still.append(f"{unseen} orders are not on the topic")
    still += backlog.behind
    if not still and backlog.quiet_at != world.pace.steps:
        still.append("the services are not known to be quiet")
    return still


async def order_states(world: World) -> Counter[str]:
    """The orders of the day by state, as the desk's list shows them."""
    return Counter([order["state"] async for order in operator.orders(world)])
