"""Pickup points: the leader sets out what is there and says so, buyers come with their code, or don't."""

from __future__ import annotations

import asyncio
from uuid import UUID

from deploy.scenarios.day import Fate, Order
from deploy.scenarios.drivers.api import Refused
from deploy.scenarios.drivers.world import ENDED, World

READY, FETCHED = "set out", "fetched"
# Business minutes between a leader's rounds, and between a buyer's tries.
ROUND, AGAIN = 20.0, 12.0


async def keep(world: World) -> None:
    """On return nothing waits to be set out or fetched any more, save what nobody fetches."""
    pickups = [order for order in world.day.orders if order.way == "pickup"]
    world.tally.plan(READY, len(pickups))
    world.tally.plan(FETCHED, sum(order.fate in {Fate.FETCHES, Fate.PAYS_LATE} for order in pickups))
    async with asyncio.TaskGroup() as people:
        for place in world.day.scenario.communities:
            people.create_task(_leader(world, [order for order in pickups if order.community == place.id]))
        for order in pickups:
            if order.fate in {Fate.FETCHES, Fate.PAYS_LATE}:
                people.create_task(_fetch(world, order))


async def _leader(world: World, orders: list[Order]) -> None:
    waiting = {order.id: order for order in orders}
    await world.pace.until(world.day.scenario.last_order)
    while waiting:
        due = [order for order in waiting.values() if world.is_settled(order)]
        done = await asyncio.gather(*(_set_out(world, order.id) for order in due))
        for order, over in zip(due, done, strict=True):
            if over:
                world.tally.did(READY)
                del waiting[order.id]
        await world.pace.pause(ROUND)


async def _set_out(world: World, order: UUID) -> bool:
    """Whether the leader is done with it: it stands ready, or has ended without."""
    try:
        await world.api.post("leader", "orders", f"/v1/orders/{order}:ready")
    except Refused as refusal:
        if refusal.status != 409:
            raise
        return (await world.order(order))["state"] in ENDED
    return True


async def _fetch(world: World, order: Order) -> None:
    await world.pace.until(order.fetches_at or 0)
    await world.settled([order])
    while not await _handed_over(world, order):
        await world.pace.pause(AGAIN)
    world.tally.did(FETCHED)


async def _handed_over(world: World, order: Order) -> bool:
    """Whether the buyer need not come again: has it, or will never get it."""
    try:
        await world.api.post("buyer", "orders", f"/v1/orders/{order.id}:collect", {"code": world.codes[order.id]})
    except Refused as refusal:
        if refusal.status != 409:
            raise
        return (await world.order(order.id))["state"] in ENDED
    return True
