"""Runs a day's actors at the same time, then waits until the services are idle."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from deploy.scenarios.actors.buyers import ENDED
from deploy.scenarios.drivers import buyers, couriers, dispatcher, group_buys, intake, points, stalls
from deploy.scenarios.drivers.world import World
from deploy.scenarios.outcome.observed import Observed
from deploy.scenarios.run.backlog import Backlog
from deploy.scenarios.run.day_clock import STUCK_S

PARTS = (
    intake.bring, buyers.live, group_buys.run, stalls.run, points.keep, dispatcher.run, couriers.run,
)  # fmt: skip


async def run_actors(world: World) -> None:
    """Run the whole day; its catalogue must be written. An error of any actor ends it and is raised."""
    async with asyncio.TaskGroup() as people:
        for part in PARTS:
            people.create_task(part(world), name=part.__module__)


async def wait_until_idle(world: World, observed: Observed, orders: int, backlog: Backlog) -> list[str]:
    """Return once that many orders have ended and the services have processed everything.

    After a minute without progress, return the open points as text.
    """
    await world.pace.until(world.day.scenario.points_close)
    before, since = None, time.monotonic()
    while still := _open(world, observed, orders, backlog):
        now = still, backlog.moved
        if now != before:
            before, since = now, time.monotonic()
        elif time.monotonic() - since > STUCK_S:
            return still
        await asyncio.sleep(0.1)
    return []


def _open(world: World, observed: Observed, orders: int, backlog: Backlog) -> list[str]:
    order_states = observed.ends(world.day.market_day)
    still = [f"{count} orders are {state}" for state, count in order_states.items() if state not in ENDED]
    if unseen := orders - sum(order_states.values()):
        still.append(f"{unseen} orders are not on the topic")
    still += backlog.behind
    if not still and backlog.quiet_at != world.pace.steps:
        still.append("the services are not known to be idle")
    return still


async def order_states(world: World) -> Counter[str]:
    """Return the orders of the day by state, from the operator's list."""
    return Counter([order["state"] async for order in world.orders()])
