"""Stalls: each terminal sells from its allotment, online or offline, and uploads its sales."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from random import Random
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from deploy.scenarios.drivers.api import BrokenPromise
from deploy.scenarios.drivers.catalogue import amount
from deploy.scenarios.drivers.uploads import Recorder, Upload, in_pieces, unwanted
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
    await asyncio.gather(*(_Till(world, stall).work() for stall in world.day.stalls))


def _shuffled(chance: Random, pieces: list[list[Upload]]) -> list[list[Upload]]:
    return chance.sample(pieces, len(pieces))


class _Till:
    """One terminal. `left` is the quantity that it may still sell: granted - returned - its own sales."""

    def __init__(self, world: World, stall: Stall) -> None:
        self._world = world
        self._stall = stall
        self._device = f"till-{stall.terminal}"
        self._memory = Recorder(f"terminal/{stall.terminal}", self._device, f"{world.day.market_day}-s{world.day.seed}")
        self._left: dict[str, int] = {}
        self._sold: set[UUID] = set()
        self._syncs = 0
        self._cash_fen = FLOAT_FEN

    async def work(self) -> None:
        scenario, pace = self._world.day.scenario, self._world.pace
        await pace.until(scenario.opens)
        self._memory.record("open", pace.at(scenario.opens), {"float_fen": FLOAT_FEN})
        await self._learn_loan()
        for at, deed, sale in self._deeds():
            await pace.until(at)
            if deed == "sync":
                await self._upload(at)
            elif deed == "void":
                self._void(at, sale)
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
        short = [line.item for line in sale.lines if self._left[line.item] < line.quantity]
        if short:
            self._world.tally.sent_away[short[0]] += 1
        else:
            self._move(sale.lines, -1)
            self._sold.add(sale.id)
            lines = [self._line(line) for line in sale.lines]
            self._memory.record("sale", self._world.pace.at(at), {"sale": str(sale.id), "lines": lines})
        self._world.tally.did(CUSTOMERS)

    def _void(self, at: float, sale: Sale) -> None:
        if sale.id in self._sold:
            self._move(sale.lines, +1)
            self._memory.record("void", self._world.pace.at(at), {"sale": str(sale.id)})

    def _move(self, lines: tuple[Line, ...], sign: int) -> None:
        """Put goods on the table (+1) or take them off (-1); the money goes the other way."""
        for line in lines:
            self._left[line.item] += sign * line.quantity
            self._cash_fen -= sign * self._cost(line)

    def _line(self, line: Line) -> dict[str, str | int]:
        good = self._world.day.scenario.good(line.item)
        return {"item": line.item, **amount(good, line.quantity), "amount_fen": self._cost(line)}

    def _cost(self, line: Line) -> int:
        return self._world.day.scenario.good(line.item).cost("stall", line.quantity)

    async def _learn_loan(self) -> None:
        """Wait until the whole allotment is visible, which takes a moment; nothing is sold before."""
        uploads = self._memory.unsent()
        while True:
            answer = await self._sync(uploads)
            self._left = {a["item"]: a["granted_total"] - a["returned_total"] for a in answer["allotment"]}
            if all(self._left.get(item, 0) >= quantity for item, quantity in self._stall.lent.items()):
                return
            await self._world.pace.pause(6)

    async def _upload(self, at: float) -> None:
        away = self._stall.offline
        if away and away[0] <= at < away[1]:
            return
        fresh = self._memory.unsent()
        self._syncs += 1
        if away and at >= away[1] and len(fresh) > 2 * PIECE:
            seen: set[int] = set()
            chance = self._world.chance(self._device)
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
        body = {"device": self._device, "market_day": self._world.day.market_day, "uploads": uploads}
        path = f"/v1/terminals/{self._stall.terminal}/sync"
        answer: dict[str, Any] = await self._world.api.post("terminal", "orders", path, body)
        if wrong := unwanted(answer["uploads"]):
            raise BrokenPromise(f"{self._stall.terminal}: an upload was not applied: {wrong[0]}")
        return answer

    async def _close(self) -> None:
        world, scenario = self._world, self._world.day.scenario
        await world.pace.until(scenario.terminals_close)
        cash = {"last_seq": len(self._memory.kept) + 1, "cash_fen": self._cash_fen}
        self._memory.record("close", world.pace.at(scenario.terminals_close), cash)
        answer = await self._sync(self._memory.unsent())
        if any(answer["gaps"].values()):
            raise BrokenPromise(f"{self._stall.terminal} closed with gaps: {answer['gaps']}")
        await world.pace.pause(COUNT_AFTER)
        await asyncio.gather(*(self._give_back(item, left) for item, left in self._left.items() if left))
        world.tally.did(CLOSED)

    async def _give_back(self, item: str, left: int) -> None:
        pool = self._world.day.pool(self._stall.site)
        body = {
            "return_id": str(uuid5(NAMESPACE_OID, f"{pool}/{self._stall.terminal}/{item}/back/{self._world.day.seed}")),
            "terminal": self._stall.terminal,
            "pool": pool,
            "item": item,
            "quantity": left,
        }
        await self._world.api.post("operator", "inventory", "/v1/allotments:return", body)
