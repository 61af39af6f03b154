"""Couriers: load their route, deliver or fail at the door, and report it at once or much later."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from deploy.scenarios.drivers.api import BrokenPromise
from deploy.scenarios.drivers.uploads import Recorder, Upload, in_pieces, unwanted
from deploy.scenarios.drivers.world import World
from deploy.scenarios.schedule import Courier, Fate

LOADED, DOORS = "loaded", "doors reached"
PIECE = 9
# Business minutes from loading to the first door, and from the last door to the second attempts.
LOADING, SECOND_TRY = 15.0, 10.0


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop of a route, as on the courier's page; `eta` in minutes of the day."""

    job: str
    order: UUID
    epoch: int
    trip: int
    eta: float


async def run(world: World) -> None:
    """Return when every released job was delivered or brought back, and reported."""
    world.tally.plan(LOADED, 0)
    world.tally.plan(DOORS, 0)
    await asyncio.gather(*(_work(world, courier) for courier in world.day.couriers))


async def _work(world: World, courier: Courier) -> None:
    device = f"phone-{courier.id}"
    for wave in (world.wave(wave.id, courier.station) for wave in world.day.scenario.waves):
        await world.released[wave].wait()
        stops = await _route(world, courier, wave)
        world.tally.stages[LOADED].total += len(stops)
        world.tally.stages[DOORS].total += len(stops)
        offline = bool(stops) and world.goes_offline(wave)
        round_ = _Round(world, courier, Recorder(f"courier/{courier.id}", device, f"{wave}-s{world.day.seed}"), offline)
        for _, trip in groupby(stops, key=lambda stop: stop.trip):
            await round_.drive(list(trip))
        await round_.report()


async def _route(world: World, courier: Courier, wave: str) -> list[Stop]:
    page = await world.api.get("courier", "dispatch", f"/v1/couriers/{courier.id}/route")
    stops = [
        Stop(
            job["job"],
            UUID(job["order"]),
            job["epoch"],
            job["trip"],
            world.pace.minute_of(datetime.fromisoformat(job["eta"])),
        )
        for job in page["stops"]
        if job["wave"] == wave
    ]
    return sorted(stops, key=lambda stop: (stop.trip, stop.eta))


class _Round:
    """One courier's round of a wave. If offline, all of it is reported at the end."""

    def __init__(self, world: World, courier: Courier, memory: Recorder, offline: bool) -> None:
        self._world = world
        self._courier = courier
        self._memory = memory
        self._offline = offline

    async def drive(self, trip: list[Stop]) -> None:
        pace, start, end = self._world.pace, trip[0].eta - LOADING, trip[-1].eta + SECOND_TRY
        await pace.until(start)
        await self._record((("load", stop, start, {}) for stop in trip), LOADED)
        again = [await self._door(stop) for stop in trip]
        for stop in filter(None, again):
            await pace.until(end)
            await self._hand_over(stop, end)
        refused = [stop for stop in trip if self._world.fate(stop.order) is Fate.REFUSES]
        await self._record((("return", stop, end, {"reason": "refused"}) for stop in refused), DOORS)

    async def _door(self, stop: Stop) -> Stop | None:
        """Return the stop if it has to be tried again."""
        await self._world.pace.until(stop.eta)
        fate = self._world.fate(stop.order)
        if fate in {Fate.MISSED_ONCE, Fate.REFUSES}:
            reason = "not-home" if fate is Fate.MISSED_ONCE else "refused"
            await self._record([("fail", stop, stop.eta, {"reason": reason})])
            return stop if fate is Fate.MISSED_ONCE else None
        await self._hand_over(stop, stop.eta)
        return None

    async def _hand_over(self, stop: Stop, at: float) -> None:
        """Deliver with the receiver's code, which the buyer got with the order."""
        await self._record([("deliver", stop, at, {"code": self._world.codes[stop.order]})], DOORS)

    async def _record(
        self, actions: Iterable[tuple[str, Stop, float, dict[str, str]]], stage: str | None = None
    ) -> None:
        count = 0
        for kind, stop, at, body in actions:
            # an online phone records the current time, not the planned one
            when = at if self._offline else max(at, self._world.pace.minute)
            self._memory.record(kind, self._world.pace.at(when), {"job": stop.job, "epoch": stop.epoch, **body})
            count += 1
        if stage:
            self._world.tally.did(stage, count)
        if count and not self._offline:
            await self._sync(self._memory.unsent())

    async def report(self) -> None:
        """Upload the records of an offline round, in pieces, partly twice."""
        kept, seen = self._memory.unsent(), set[int]()
        for piece in in_pieces(self._world.chance(self._courier.id), kept, PIECE) if kept else []:
            await self._sync(piece)
            self._world.tally.absorbed["courier uploads"] += sum(upload["seq"] in seen for upload in piece)
            seen |= {upload["seq"] for upload in piece}

    async def _sync(self, uploads: list[Upload]) -> None:
        body = {"device": self._memory.device, "uploads": uploads}
        path = f"/v1/couriers/{self._courier.id}/sync"
        answer: dict[str, Any] = await self._world.api.post("courier", "dispatch", path, body)
        if wrong := unwanted(answer["uploads"]):
            raise BrokenPromise(f"{self._courier.id}: a report was not applied: {wrong[0]}")
