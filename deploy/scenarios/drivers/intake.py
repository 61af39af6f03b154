"""Before the market: households bring their lots, the steward inspects them, stalls get their allotments."""

from __future__ import annotations

import asyncio
from uuid import NAMESPACE_OID, uuid5

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
    received = {
        "lot_id": str(lot.id),
        "pool": world.day.pool(lot.site),
        "item": lot.item,
        "household": lot.household,
        "quantity": lot.received,
        "harvested_at": world.pace.at(lot.at - PICKED_BEFORE_MIN).isoformat(),
    }
    await world.api.post("operator", "inventory", "/v1/lots", received)
    verdict = {"result": "pass", "quantity": lot.passed}
    await world.api.post("operator", "inventory", f"/v1/lots/{lot.id}:inspect", verdict, key=f"{lot.id}-inspected")
    world.tally.did(LOTS)


async def _lend(world: World, stall: Stall, item: str) -> None:
    pool = world.day.pool(stall.site)
    loan = {
        "allotment_id": str(uuid5(NAMESPACE_OID, f"{pool}/{stall.terminal}/{item}/loan/{world.day.seed}")),
        "terminal": stall.terminal,
        "pool": pool,
        "item": item,
        "quantity": stall.lent[item],
        "lease_until": world.pace.at(world.day.scenario.leases_until).isoformat(),
    }
    await world.api.post("operator", "inventory", "/v1/allotments", loan)
    world.tally.did(LOANS)
