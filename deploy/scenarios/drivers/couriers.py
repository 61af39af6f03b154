"""Couriers: load their route, deliver or fail at the door, and report it at once or much later."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from uuid import UUID

from deploy.scenarios import schedule
from deploy.scenarios.actors.couriers import Courier, Stop
from deploy.scenarios.actors.devices import Device, Upload, check_applied, in_pieces
from deploy.scenarios.drivers.world import World
from deploy.scenarios.schedule import Fate

LOADED, DOORS = "loaded", "doors reached"
PIECE = 9
# Business minutes from loading to the first door, and from the last door to the second attempts.
LOADING, SECOND_TRY = 15.0, 10.0


async def run(world: World) -> None:
    """Return when every released job was delivered or brought back, and reported."""
    world.tally.plan(LOADED, 0)
    world.tally.plan(DOORS, 0)
    await asyncio.gather(*(_work(world, courier) for courier in world.day.couriers))


async def _work(world: World, who: schedule.Courier) -> None:
    for wave in (world.wave(wave.id, who.station) for wave in world.day.scenario.waves):
        await world.released[wave].wait()
        client = world.devices[f"courier.{who.id}"]
        key = client.credential
        device = Device(f"courier/{who.id}", key.device, f"{wave}-s{world.day.seed}", signer=key)
        round_ = _Round(world, Courier(client, device, who.id))
        stops = [stop for stop in await round_.courier.route() if stop["wave"] == wave]
        world.tally.stages[LOADED].total += len(stops)
        world.tally.stages[DOORS].total += len(stops)
        round_.offline = bool(stops) and world.goes_offline(wave)
        stops.sort(key=lambda stop: (stop["trip"], round_.eta(stop)))
        for _, trip in groupby(stops, key=lambda stop: stop["trip"]):
            await round_.drive(list(trip))
        await round_.report()


class _Round:
    """One courier's round of a wave. If offline, all of it is reported at the end."""

    def __init__(self, world: World, courier: Courier) -> None:
        self._world = world
        self.courier = courier
        self.offline = False

    def eta(self, stop: Stop) -> float:
        """Return the minute of the day at which the courier arrives."""
        return self._world.pace.minute_of(datetime.fromisoformat(stop["eta"]))

    async def drive(self, trip: Sequence[Stop]) -> None:
        pace, start, end = self._world.pace, self.eta(trip[0]) - LOADING, self.eta(trip[-1]) + SECOND_TRY
        await pace.until(start)
        for stop in trip:
            self.courier.load(self._when(start), stop)
        await self._report_online(LOADED, len(trip))
        missed = [stop for stop in trip if not await self._door(stop)]
        for stop in missed:
            await pace.until(end)
            await self._hand_over(stop, end)
        refused = [stop for stop in trip if self._fate(stop) is Fate.REFUSES]
        for stop in refused:
            self.courier.bring_back(self._when(end), stop, "refused")
        await self._report_online(DOORS, len(refused))

    def _fate(self, stop: Stop) -> Fate:
        return self._world.fate(UUID(stop["order"]))

    def _when(self, minute: float) -> datetime:
        """Return the device's time: an online phone records the current minute, not the planned one."""
        return self._world.pace.at(minute if self.offline else max(minute, self._world.pace.minute))

    async def _door(self, stop: Stop) -> bool:
        """Return False if the stop has to be tried again."""
        at, fate = self.eta(stop), self._fate(stop)
        await self._world.pace.until(at)
        if fate not in {Fate.MISSED_ONCE, Fate.REFUSES}:
            await self._hand_over(stop, at)
            return True
        self.courier.fail(self._when(at), stop, "not-home" if fate is Fate.MISSED_ONCE else "refused")
        await self._report_online()
        return fate is Fate.REFUSES

    async def _hand_over(self, stop: Stop, at: float) -> None:
        """Deliver with the receiver's code, which the buyer got with the order."""
        self.courier.deliver(self._when(at), stop, self._world.codes[UUID(stop["order"])])
        await self._report_online(DOORS, 1)

    async def _report_online(self, stage: str | None = None, count: int = 0) -> None:
        if stage:
            self._world.tally.did(stage, count)
        if not self.offline and (fresh := self.courier.device.unsent()):
            await self._sync(fresh)

    async def report(self) -> None:
        """Upload the records of an offline round, in pieces, partly twice."""
        kept, seen = self.courier.device.unsent(), set[int]()
        for piece in in_pieces(self._world.chance(self.courier.courier), kept, PIECE) if kept else []:
            await self._sync(piece)
            self._world.tally.absorbed["courier uploads"] += sum(upload["seq"] in seen for upload in piece)
            seen |= {upload["seq"] for upload in piece}

    async def _sync(self, uploads: list[Upload]) -> None:
        check_applied(self.courier.courier, await self.courier.sync(uploads))
