"""Before the market: households bring their lots, the steward inspects them, stalls get their allotments."""

from __future__ import annotations

import asyncio
from uuid import NAMESPACE_OID, uuid5

from deploy.scenarios.actors import requests
from deploy.scenarios.actors.client import call
from deploy.scenarios.actors.operators import Operator
from deploy.scenarios.drivers.world import World
from deploy.scenarios.schedule import Lot, Stall

LOTS, LOANS = "lots", "loans"
PICKED_BEFORE_MIN = 60.0


async def bring(world: World) -> None:
    """Return when every lot is inspected and every stall has its allotment; then `stocked` is set."""
    world.tally.plan(LOTS, len(world.day.lots))
    world.tally.plan(LOANS, sum(len(stall.lent) for stall in world.day.stalls))
    await asyncio.gather(*(_lot(world, lot) for lot in world.day.lots))
    await asyncio.gather(*(_lend(world, stall, item) for stall in world.day.stalls for item in stall.lent))
    world.stocked.set()


async def _lot(world: World, lot: Lot) -> None:
    await world.pace.until(lot.at)
    pool, picked = world.day.pool(lot.site), world.pace.at(lot.at - PICKED_BEFORE_MIN)
    received = requests.goods(lot.item, lot.received)
    await Operator(world.api).take_in(lot.id, pool, received, lot.household, picked, passed=lot.passed)
    world.tally.did(LOTS)


async def _lend(world: World, stall: Stall, item: str) -> None:
    pool = world.day.pool(stall.site)
    id = uuid5(NAMESPACE_OID, f"{pool}/{stall.terminal}/{item}/loan/{world.day.seed}")
    lent = requests.goods(item, stall.lent[item])
    await call(world.api, requests.lend(id, pool, stall.terminal, lent, world.pace.at(world.day.scenario.leases_until)))
    world.tally.did(LOANS)
