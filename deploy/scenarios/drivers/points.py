"""Pickup points: the leader marks orders ready, buyers fetch them with their code, or do not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from uuid import UUID

from deploy.scenarios.actors.points import PickupPoint
from deploy.scenarios.drivers.world import World
from deploy.scenarios.schedule import Fate, Order

READY, FETCHED = "set out", "fetched"
# Business minutes between a leader's rounds, and between a buyer's tries.
ROUND, AGAIN = 20.0, 12.0


async def keep(world: World) -> None:
    """Return when every pickup order is ready and fetched, except those that no buyer fetches."""
    pickups = [order for order in world.day.orders if order.way == "pickup"]
    fetched = [order for order in pickups if order.fate in {Fate.FETCHES, Fate.PAYS_LATE}]
    world.tally.plan(READY, 0)
    world.tally.plan(FETCHED, 0)
    async with asyncio.TaskGroup() as people:
        for place in world.day.scenario.communities:
            people.create_task(_leader(world, [order for order in pickups if order.community == place.id]))
        for order in fetched:
            people.create_task(_buyer(world, order))


async def _leader(world: World, orders: list[Order]) -> None:
    await world.pace.until(world.day.scenario.last_order)
    await set_out(world, (order.id for order in orders))


async def _buyer(world: World, order: Order) -> None:
    await world.settled([order])
    await fetch(world, order.id, order.fetches_at or 0)


async def set_out(world: World, orders: Iterable[UUID]) -> None:
    """A leader's rounds, until each of these orders is ready or has ended otherwise."""
    waiting, point = set(orders), PickupPoint(world.api)
    world.tally.stages[READY].total += len(waiting)
    while waiting:
        due = [order for order in waiting if world.is_settled(order)]
        done = await asyncio.gather(*(point.set_out(order) for order in due))
        over = {order for order, done in zip(due, done, strict=True) if done}
        world.tally.did(READY, len(over))
        waiting -= over
        await world.pace.pause(ROUND)


async def fetch(world: World, order: UUID, at: float) -> None:
    """A buyer comes at that minute with the code, and again until the order is handed over or has ended otherwise."""
    world.tally.stages[FETCHED].total += 1
    await world.pace.until(at)
    while not await PickupPoint(world.api).hand_over(order, world.codes[order]):
        await world.pace.pause(AGAIN)
    world.tally.did(FETCHED)
