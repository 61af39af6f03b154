"""Buyers without pauses: each sends its next request when the last one is answered, so many are always in flight."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

from deploy.scenarios.actors import requests
from deploy.scenarios.actors.buyers import Buyer, place_list
from deploy.scenarios.actors.client import Client, Refused
from deploy.scenarios.actors.requests import Body, goods
from tests.faults.client import HistoryClient
from tests.faults.market import SCARCE, SCARCE_ITEMS, SITES, Market

BUYERS = 56
PER_SECOND = 12.0
"""Rate of new orders. In the remaining time buyers repeat requests, as impatient phones do, pay, cancel and read."""
HOLD_S = 6
Act = Callable[[], Awaitable[Any]]


def new_id(rng: Random) -> str:
    """Return a client's own id."""
    return str(UUID(int=rng.getrandbits(128), version=4))


def is_kept(buyer: Buyer) -> bool:
    """Return True for scarce goods: their buyer never cancels, so that all of them are sold."""
    return any(line["item"] in SCARCE_ITEMS for line in buyer.body["lines"])


def pickup_order(market: Market, rng: Random, item: str, *, site: str, channel: str = "app", payment: str) -> Body:
    """Return an order of one unit, to be collected at the site's point."""
    where = requests.pickup(f"{site}-point")
    return requests.order(new_id(rng), channel, market.day, f"{site}-side", [goods(item, 1)], where, payment)


@dataclass
class Buyers:
    """The buyers of a run. `closing` ends them; while `paused` they order, pay and cancel, but repeat nothing.
    `accepted`: the buyers of accepted orders, by the id of the order.
    """

    client: HistoryClient
    market: Market
    rng: Random
    closing: bool = False
    paused: bool = False
    accepted: dict[str, Buyer] = field(default_factory=dict)
    _recent: list[Buyer] = field(default_factory=list)
    _schedule: list[tuple[float, int, Act]] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    _made: int = 0
    _count: int = 0

    async def buyer(self) -> None:
        """Act as one buyer after the other until the market closes."""
        while not self.closing:
            with suppress(Refused):  # the history has it
                await self._act()

    async def _act(self) -> None:
        if self._schedule and self._schedule[0][0] <= time.monotonic():
            *_, act = heapq.heappop(self._schedule)
            await act()
        elif self._made < (time.monotonic() - self._began) * PER_SECOND or not self._recent:
            await self._place_new()
        elif self.paused:
            await asyncio.sleep(0.1)  # pause: the rate of new orders
        else:
            await self._repeat()

    async def _place_new(self) -> None:
        rng = self.rng
        if rng.random() < 0.15:
            await self._place_list([self._new_buyer(self.client) for _ in range(rng.randint(2, 6))])
            return
        # Some never retry after a lost answer: the outcome stays unknown, and all views must agree.
        buyer = self._new_buyer(self.client if rng.random() < 0.8 else self.client.patient(0))
        await self.place(buyer)
        buyer.client = self.client
        if rng.random() < 0.1:
            await buyer.read(wait=2)

    async def place(self, buyer: Buyer) -> None:
        """Place an order, for the first time or again. Raises `Refused`."""
        await buyer.place()
        self.follow(buyer)

    async def _place_list(self, buyers: list[Buyer]) -> None:
        """Send the orders of a group chat in one request; an invalid one among them must not affect the others."""
        sent = list(buyers)
        if self.rng.random() < 0.3:
            sent.append(Buyer(self.client, {**buyers[0].body, "order_id": new_id(self.rng), "lines": []}))
        await place_list(self.client, sent)
        for buyer in buyers:
            if buyer.order:
                self.follow(buyer)

    async def _repeat(self) -> None:
        buyer = self.rng.choice(self._recent)
        chance = self.rng.random()
        if chance < 0.02:
            await Buyer(self.client, {**buyer.body, "lines": [goods("tea", 77)]}).place()
        elif chance < 0.1 and buyer.body["payment"] != "pending":
            await buyer.pay()
        elif chance < 0.6:
            await self.place(buyer)
        else:
            await buyer.read(wait=2)

    def follow(self, buyer: Buyer) -> None:
        """Plan the next steps after an accepted order; once."""
        if buyer.id in self.accepted:
            return
        self.accepted[buyer.id] = buyer
        self._recent = [*self._recent[-199:], buyer]
        if is_kept(buyer):
            return
        if buyer.body["payment"] == "pending" and self.rng.random() < 0.7:
            self._act_in(self.rng.choice([0, 1, 3, HOLD_S - 0.5, HOLD_S, HOLD_S + 3]), buyer.pay)
        if self.rng.random() < 0.15:
            self._act_in(self.rng.choice([0, 0.3, 1, 4, 12]), buyer.cancel)

    def _act_in(self, seconds: float, act: Act) -> None:
        self._count += 1
        heapq.heappush(self._schedule, (time.monotonic() + seconds, self._count, act))

    def _new_buyer(self, client: Client) -> Buyer:
        self._made += 1
        rng = self.rng
        id, site, rare = new_id(rng), rng.choice(SITES), rng.random() < 0.2
        channel = rng.choice(["app", "group", "live", "stall"])
        lines = [goods(SCARCE, 1)] if rare else self._lines()
        where = self._fulfilment(site, delivery=not rare and rng.random() < 0.5)
        payment = rng.choice(["on_account", "prepaid", *(() if rare else ("pending",))])
        return Buyer(client, requests.order(id, channel, self.market.day, f"{site}-side", lines, where, payment))

    def _lines(self) -> list[Body]:
        items = self.rng.sample(["apples", "tea", "eggs"], self.rng.randint(1, 3))
        return [goods(item, self.rng.randint(1, 3)) for item in items]

    def _fulfilment(self, site: str, *, delivery: bool) -> Body:
        if not delivery:
            return requests.pickup(f"{site}-point")
        return requests.delivery("一栋", 28.2 + self.rng.uniform(-0.02, 0.02), 112.9 + self.rng.uniform(-0.02, 0.02))
