"""Actors of the market: stalls, couriers, pickup points and the dispatcher. They work until everything is done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

from deploy.scenarios.actors import couriers, requests, stalls
from deploy.scenarios.actors.client import Client, Refused, call
from deploy.scenarios.actors.couriers import Stop, Visit
from deploy.scenarios.actors.devices import Device, check_applied
from deploy.scenarios.actors.dispatchers import Dispatcher
from deploy.scenarios.actors.points import PickupPoint
from deploy.scenarios.actors.requests import goods, read
from tests.faults.client import HistoryClient
from tests.faults.load import Buyers, new_id
from tests.faults.market import LENT, Market, receive_lots

RESTOCK_EVERY_S, RESTOCK = 8.0, {"eggs": 60}
"""Seconds between restocks of each site, and the quantities."""


class StallTerminal(stalls.StallTerminal):
    """A stall's terminal: sells the stock lent to it at random, online or offline."""

    def __init__(self, client: HistoryClient, market: Market, rng: Random, id: str, site: str, session: str) -> None:
        device = Device(f"terminal/{id}", f"device-{id}", session)
        super().__init__(client.persistent, device, id, market.day, market.pool(site), dict(LENT))
        self._market, self._rng = market, rng

    async def sell_until_closing(self, buyers: Buyers, pause_s: float = 0.0) -> None:
        """Sell and upload until the market closes; then close the session and upload the rest."""
        self.open(self._market.now, 1000)
        while not buyers.closing:
            for _ in range(self._rng.choice([0, 0, 1, 2])):
                self._act()
            await self._upload()
            await asyncio.sleep(pause_s)
        self.close(self._market.now)
        while self.device.sent < len(self.device.recorded):
            await self._upload()

    async def run(self, buyers: Buyers) -> None:
        """Sell until the market closes, then return the remaining stock."""
        await self.sell_until_closing(buyers)
        for item, left in self.left.items():
            await self.give_back(self._market.id(self.terminal, item, "back"), goods(item, left))

    def _act(self) -> None:
        rng, now = self._rng, self._market.now
        if self.sales and rng.random() < 0.1:
            self.void(now, rng.choice(list(self.sales)))
            return
        item, quantity = rng.choice(list(self.left)), rng.randint(1, 3)
        lines = [{**goods(item, quantity), "amount_fen": quantity * 250}]
        if self.has(lines):
            self.sell(now, UUID(new_id(rng)), lines)

    async def _upload(self) -> None:
        check_applied(self.terminal, await self.sync(self.device.unsent_and_old(self._rng)))


class Courier(couriers.Courier):
    """A courier: loads the jobs of the route and delivers them, or returns them."""

    def __init__(self, client: HistoryClient, market: Market, rng: Random, id: str, session: str) -> None:
        super().__init__(client.persistent, Device(f"courier/{id}", f"phone-{id}", session), id)
        self._reader, self._market, self._rng = client, market, rng
        self._known_jobs: set[str] = set()

    async def run(self, buyers: Buyers) -> None:
        """Work until cancelled."""
        while True:
            page = await self._reader.get(requests.read_route(self.courier))
            stops = [stop for stop in (page or {"stops": []})["stops"] if stop["job"] not in self._known_jobs]
            for stop in stops:
                await self._visit(buyers, stop)
            # A phone sends in order, because a later report implies the earlier ones.
            await self.sync(sorted(self.device.unsent_and_old(self._rng), key=lambda upload: upload["seq"]))
            if buyers.closing and not stops:
                await asyncio.sleep(0.2)

    async def _visit(self, buyers: Buyers, stop: Stop) -> None:
        code, rng = await _code(self._reader, buyers, stop["order"]), self._rng
        self._known_jobs.add(stop["job"])
        # A lost report of the loading is implied by the later ones.
        visit = Visit(rng.random() < 0.95, rng.random() < 0.1, code=None if rng.random() < 0.05 else code)
        self.visit(self._market.now, stop, visit)


async def _code(client: Client, buyers: Buyers, order: str) -> str:
    """Return an order's code. Its buyer does not know it where the answer was lost."""
    known = buyers.accepted.get(order)
    return known.code if known else str((await call(client, requests.read_order(order)))["code"])


async def restock(client: HistoryClient, market: Market, buyers: Buyers) -> None:
    """Receive more lots now and then, until the market closes."""
    count, last = 0, time.monotonic()
    while not buyers.closing:
        if time.monotonic() - last > RESTOCK_EVERY_S:
            count, last = count + 1, time.monotonic()
            await receive_lots(client.persistent, market, RESTOCK, f"cart-{count}")
        await asyncio.sleep(0.1)


async def run_pickup_point(client: HistoryClient, buyers: Buyers, number: int, of: int) -> None:
    """A pickup point's leader: marks reserved orders ready and hands them over, until cancelled."""
    while True:
        found: list[str] = []
        for state in ("ready", "reserved"):
            page = await client.get(read("operator", "orders", "/v1/orders", state=state, limit=500))
            found += [row["order_id"] for row in (page or {"items": []})["items"] if row["fulfilment"] == "pickup"]
        mine = [order for order in found if UUID(order).int % of == number]
        for n in range(0, len(mine), 4):
            await asyncio.gather(*(_hand_over(client, buyers, order) for order in mine[n : n + 4]))
        if not mine:
            await asyncio.sleep(0.3)


async def _hand_over(client: HistoryClient, buyers: Buyers, order: str) -> None:
    code, point = await _code(client, buyers, order), PickupPoint(client)
    with suppress(Refused):  # the history has it, and the next round finds the order again
        await point.set_out(order)
        await point.hand_over(order, code)


async def run_dispatcher(client: HistoryClient, buyers: Buyers, every_s: float) -> None:
    """The dispatcher: cuts the next wave that has jobs now and then, and releases planned waves; until cancelled."""
    dispatcher, last = Dispatcher(client), time.monotonic()
    while True:
        with suppress(Refused):  # the next round tries again
            waves = await dispatcher.waves()
            for wave in waves:
                if wave["state"] == "planned":
                    await dispatcher.release(wave["wave"])
            # The planning loop plans one wave at a time; jobs that arrive meanwhile are planned with the next wave.
            busy = any(wave["state"] == "cut" for wave in waves)
            due = not busy and time.monotonic() - last > (2 if buyers.closing else every_s)
            waiting = next((wave for wave in waves if wave["state"] == "open" and any(wave["jobs"].values())), None)
            if due and waiting:
                last = time.monotonic()
                await dispatcher.cut(waiting["wave"])
        await asyncio.sleep(0.3)


@dataclass
class Crew:
    """All actors of a run, each with a task of its own; their devices have the same `session`."""

    client: HistoryClient
    buyers: Buyers
    session: str
    _tasks: dict[str, list[asyncio.Task[Any]]] = field(default_factory=dict)

    def begin(
        self, buyers: int, points: int, wave_every_s: float, sell: Callable[[StallTerminal], Coroutine[Any, Any, None]]
    ) -> None:
        """Start so many buyers and pickup points, and all other actors; `sell` is the work of a terminal."""
        client, load, market, rng = self.client, self.buyers, self.buyers.market, self.buyers.rng
        terminals = [
            StallTerminal(client, market, Random(rng.random()), id, site, self.session)
            for id, site in market.terminals.items()
        ]
        riders = [Courier(client, market, Random(rng.random()), id, self.session) for id in market.couriers]
        self.start("buyers", *(load.buyer() for _ in range(buyers)))
        self.start("stalls", *map(sell, terminals))
        self.start("couriers", *(courier.run(load) for courier in riders))
        self.start("points", *(run_pickup_point(client, load, n, points) for n in range(points)))
        self.start("dispatcher", run_dispatcher(client, load, wave_every_s))

    def start(self, who: str, *what: Coroutine[Any, Any, None]) -> None:
        """Start further tasks."""
        self._tasks[who] = [asyncio.create_task(one, name=who) for one in what]

    def check(self) -> None:
        """Raise the error that ended an actor."""
        for task in self._all:
            if task.done():
                task.result()

    async def close(self) -> None:
        """Stop new business; return when every buyer has the last answer and every stall has closed."""
        self.buyers.closing = True
        await asyncio.gather(*self._tasks["buyers"], *self._tasks["stalls"], *self._tasks.get("restock", ()))

    async def stop(self) -> None:
        """Cancel the actors that work without end."""
        for task in self._all:
            task.cancel()
        await asyncio.gather(*self._all, return_exceptions=True)

    @property
    def _all(self) -> list[asyncio.Task[Any]]:
        return [task for tasks in self._tasks.values() for task in tasks]
