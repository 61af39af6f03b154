"""Dispatchers: each station's wave is cut once its buyers have their slot, and its routes are released."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from deploy.scenarios.actors.client import BrokenPromise
from deploy.scenarios.actors.dispatchers import Dispatcher
from deploy.scenarios.drivers.world import World
from deploy.scenarios.model import Wave

STAGE = "waves"
# Real seconds between two reads of the order list, or of a wave that is being planned: the day waits for both.
LOOK_EVERY_S = 0.1
# Business minutes before its slot at which a wave is to be released: a plan that takes longer delays the day.
RELEASED_BEFORE = 25.0


async def run(world: World) -> None:
    """Return when every wave of every station is released."""
    world.tally.plan(STAGE, len(world.released))
    for wave in world.day.scenario.waves:
        await world.pace.until(wave.cut)
        await _slotted(world, wave)
        await asyncio.gather(
            *(_wave(world, wave, world.wave(wave.id, place.id)) for place in world.day.scenario.stations)
        )


async def _slotted(world: World, wave: Wave) -> None:
    """Return when no delivery that was ordered before the cut waits for its stock or its slot."""
    await world.settled(order for order in world.day.orders if order.way == "delivery" and order.at < wave.cut)
    with world.pace.holding(f"deliveries without a slot before wave {wave.id} is cut", _due(wave)):
        for state in ("placed", "held", "reserved"):
            while any([_waits(order) async for order in world.orders(state)]):  # noqa: ASYNC110 asked over HTTP
                await asyncio.sleep(LOOK_EVERY_S)


def _due(wave: Wave) -> float:
    return wave.slot[0] - RELEASED_BEFORE


def _waits(order: Mapping[str, Any]) -> bool:
    return bool(order["fulfilment"] == "delivery" and (order["state"] != "held" or order["paid_fen"]))


async def _wave(world: World, wave: Wave, id: str) -> None:
    dispatcher = Dispatcher(world.api)
    await dispatcher.cut(id)
    with world.pace.holding(f"the plan of wave {id}", _due(wave)):
        while not await dispatcher.is_planned(id):  # noqa: ASYNC110 asked over HTTP
            await asyncio.sleep(LOOK_EVERY_S)
    if not await dispatcher.release(id):
        raise BrokenPromise(f"wave {id} is planned and was not released")
    world.released[id].set()
    world.tally.did(STAGE)
