"""The dispatcher: cuts each wave once its buyers know where they stand, and hands out the routes."""

from __future__ import annotations

from deploy.scenarios.drivers.api import Refused
from deploy.scenarios.drivers.world import World
from deploy.scenarios.model import Wave

STAGE = "waves"
# Business minutes between two looks at a wave that is being planned.
LOOK_EVERY = 4.0
PLANNED = {"planned", "released", "done"}


async def run(world: World) -> None:
    """On return every wave is released."""
    world.tally.plan(STAGE, len(world.day.scenario.waves))
    for wave in world.day.scenario.waves:
        await _wave(world, wave)


async def _wave(world: World, wave: Wave) -> None:
    id = world.wave(wave.id)
    await world.pace.until(wave.cut)
    await world.settled(order for order in world.day.orders if order.way == "delivery" and order.at < wave.cut)
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
