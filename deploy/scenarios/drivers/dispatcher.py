"""The dispatchers: each station's wave is cut once its buyers have their slot, and its routes are handed out."""

from __future__ import annotations

import asyncio

from deploy.scenarios.drivers import desk
from deploy.scenarios.drivers.api import Refused
from deploy.scenarios.drivers.world import World
from deploy.scenarios.model import Wave

STAGE = "waves"
# Business minutes between two looks at the desk's list, or at a wave that is being planned.
LOOK_EVERY = 4.0
PLANNED = {"planned", "released", "done"}


async def run(world: World) -> None:
    """On return every wave of every station is released."""
    world.tally.plan(STAGE, len(world.released))
    for wave in world.day.scenario.waves:
        await world.pace.until(wave.cut)
        await _slotted(world, wave)
        await asyncio.gather(*(_wave(world, world.wave(wave.id, place.id)) for place in world.day.scenario.stations))


async def _slotted(world: World, wave: Wave) -> None:
    """Returns when no delivery that was ordered before the cut waits for its stock or its slot."""
    await world.settled(order for order in world.day.orders if order.way == "delivery" and order.at < wave.cut)
    for state in ("placed", "held", "reserved"):
        while any([_waits(order) async for order in desk.orders(world, state)]):
            await world.pace.pause(LOOK_EVERY)


def _waits(order: desk.Row) -> bool:
    return bool(order["fulfilment"] == "delivery" and (order["state"] != "held" or order["paid_fen"]))


async def _wave(world: World, id: str) -> None:
    try:
        await world.api.post("operator", "dispatch", f"/v1/waves/{id}:cut", key=f"{id}-cut")
    except Refused as refusal:
        if refusal.status != 409:  # its cutoff came first
            raise
    while (await world.api.get("operator", "dispatch", f"/v1/waves/{id}"))["state"] not in PLANNED:
        await world.pace.pause(LOOK_EVERY)
    await world.api.post("operator", "dispatch", f"/v1/waves/{id}:release", key=f"{id}-release")
    world.released[id].set()
    world.tally.did(STAGE)
