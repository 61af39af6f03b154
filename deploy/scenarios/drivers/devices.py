"""Before the day: every stall terminal and courier gets a device of its own, enrolled at access with a real key."""

from __future__ import annotations

import asyncio

from deploy.scenarios.actors.client import Role
from deploy.scenarios.actors.credentials import DeviceClient, DeviceCredential
from deploy.scenarios.drivers.world import World

STAGE = "devices enrolled"


async def enrol(world: World) -> None:
    """Return when every device is enrolled and has its first access token; their clients are in `world.devices`."""
    day = world.day
    world.tally.plan(STAGE, len(day.stalls) + len(day.couriers))
    await asyncio.gather(
        *(_enrol(world, "terminal", stall.terminal, {"sites": [stall.site]}) for stall in day.stalls),
        *(_enrol(world, "courier", courier.id, {"stations": [courier.station]}) for courier in day.couriers),
    )


async def _enrol(world: World, kind: Role, id: str, places: dict[str, list[str]]) -> None:
    credential = DeviceCredential(world.api, kind, id, places)
    await credential.enrol()
    await credential.token()
    world.devices[credential.subject] = DeviceClient(world.api, credential)
    world.tally.did(STAGE)
