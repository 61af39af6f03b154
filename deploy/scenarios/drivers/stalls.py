"""Stalls: each terminal sells from its allotment, online or offline, and uploads its sales."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from random import Random
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from deploy.scenarios.actors.client import BrokenPromise
from deploy.scenarios.actors.devices import Device, Upload, check_applied, in_pieces
from deploy.scenarios.actors.requests import goods
from deploy.scenarios.actors.stalls import StallTerminal
from deploy.scenarios.drivers.catalogue import goods_of
from deploy.scenarios.drivers.world import World
from deploy.scenarios.schedule import Line, Sale, Stall

CUSTOMERS, CLOSED = "stall customers", "stalls closed"
FLOAT_FEN = 20_000
PIECE = 7
# Business minutes from the last upload to the count of what is left: the truck comes later.
COUNT_AFTER = 40.0


async def run(world: World) -> None:
    """Return when every stall has closed, uploaded everything and returned its remaining goods."""
    world.tally.plan(CUSTOMERS, sum(len(stall.sales) for stall in world.day.stalls))
    world.tally.plan(CLOSED, len(world.day.stalls))
    await world.stocked.wait()
    await asyncio.gather(*(_StallDay(world, stall).work() for stall in world.day.stalls))


def _shuffled(chance: Random, pieces: list[list[Upload]]) -> list[list[Upload]]:
    return chance.sample(pieces, len(pieces))


class _StallDay:
    """One terminal on its day."""

    def __init__(self, world: World, stall: Stall) -> None:
        self._world = world
        self._stall = stall
        market_day, terminal = world.day.market_day, stall.terminal
        client, pool = world.devices[f"terminal.{terminal}"], world.day.pool(stall.site)
        key = client.credential
        device = Device(f"terminal/{terminal}", key.device, f"{market_day}-s{world.day.seed}", signer=key)
        self._till = StallTerminal(client, device, terminal, market_day, pool)
        self._syncs = 0

    async def work(self) -> None:
        scenario, pace = self._world.day.scenario, self._world.pace
        await pace.until(scenario.opens)
        self._till.open(pace.at(scenario.opens), FLOAT_FEN)
        await self._learn_loan()
        for at, deed, sale in self._deeds():
            await pace.until(at)
            if deed == "sync":
                await self._upload(at)
            elif deed == "void":
                if sale.id in self._till.sales:
                    self._till.void(pace.at(at), sale.id)
            else:
                self._sell(at, sale)
        await self._close()

    def _deeds(self) -> Iterator[tuple[float, str, Sale]]:
        scenario, sales = self._world.day.scenario, self._stall.sales
        deeds = [(sale.at, "sale", sale) for sale in sales]
        deeds += [(sale.voided_at, "void", sale) for sale in sales if sale.voided_at is not None]
        every = scenario.stalls.sync_every_min
        count = int((scenario.terminals_close - scenario.opens) / every)
        deeds += [(scenario.opens + n * every, "sync", sales[0]) for n in range(1, count + 1)]
        return iter(sorted(deeds, key=lambda deed: (deed[0], deed[1])))

    def _sell(self, at: float, sale: Sale) -> None:
        lines = [self._line(line) for line in sale.lines]
        if self._till.has(lines):
            self._till.sell(self._world.pace.at(at), sale.id, lines)
        else:
            short = next(line["item"] for line in lines if not self._till.has([line]))
            self._world.tally.sent_away[short] += 1
        self._world.tally.did(CUSTOMERS)

    def _line(self, line: Line) -> dict[str, Any]:
        good = self._world.day.scenario.good(line.item)
        return {**goods_of(good, line.quantity), "amount_fen": good.cost("stall", line.quantity)}

    async def _learn_loan(self) -> None:
        """Wait until the whole allotment is visible, which takes a moment; nothing is sold before."""
        uploads = self._till.device.unsent()
        while True:
            answer = await self._sync(uploads)
            self._till.learn(answer["allotment"])
            if self._till.has([goods(item, quantity) for item, quantity in self._stall.lent.items()]):
                return
            await self._world.pace.pause(6)

    async def _upload(self, at: float) -> None:
        away = self._stall.offline
        if away and away[0] <= at < away[1]:
            return
        fresh = self._till.device.unsent()
        self._syncs += 1
        if away and at >= away[1] and len(fresh) > 2 * PIECE:
            seen: set[int] = set()
            chance = self._world.chance(self._till.device.name)
            for piece in _shuffled(chance, in_pieces(chance, fresh, PIECE)):
                await self._sync(piece)
                self._world.tally.absorbed["stall uploads"] += sum(upload["seq"] in seen for upload in piece)
                seen |= {upload["seq"] for upload in piece}
        elif fresh:
            await self._sync(fresh)
            if self._syncs % self._world.day.scenario.stalls.repeat_every == 0:
                await self._sync(fresh)
                self._world.tally.absorbed["stall uploads"] += len(fresh)

    async def _sync(self, uploads: list[Upload]) -> dict[str, Any]:
        return check_applied(self._till.terminal, await self._till.sync(uploads))

    async def _close(self) -> None:
        world, scenario, till = self._world, self._world.day.scenario, self._till
        await world.pace.until(scenario.terminals_close)
        till.close(world.pace.at(scenario.terminals_close))
        answer = await self._sync(till.device.unsent())
        if any(answer["gaps"].values()):
            raise BrokenPromise(f"{till.terminal} closed with gaps: {answer['gaps']}")
        await world.pace.pause(COUNT_AFTER)
        await asyncio.gather(*(self._give_back(item, left) for item, left in till.left.items() if left))
        world.tally.did(CLOSED)

    async def _give_back(self, item: str, left: int) -> None:
        till = self._till
        id = uuid5(NAMESPACE_OID, f"{till.pool}/{till.terminal}/{item}/back/{self._world.day.seed}")
        await till.give_back(id, goods(item, left))
