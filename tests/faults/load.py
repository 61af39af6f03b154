"""Buyers without pauses: each sends its next request when the last one is answered, so many are always in flight."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

from deploy.scenarios.actors import requests
from deploy.scenarios.actors.client import Answer
from deploy.scenarios.actors.requests import Body, goods
from tests.faults.client import RETRY_S, HistoryClient
from tests.faults.market import SCARCE, SCARCE_ITEMS, SITES, Market

BUYERS = 56
PER_SECOND = 12.0
"""Rate of new orders. In the remaining time buyers repeat requests, as impatient phones do, pay, cancel and read."""
HOLD_S = 6


def new_id(rng: Random) -> str:
    """Return a client's own id."""
    return str(UUID(int=rng.getrandbits(128), version=4))


@dataclass(slots=True)
class Order:
    """An order as its buyer remembers it; `code` and `total_fen` are set once it was accepted."""

    body: Body
    code: str = ""
    total_fen: int = 0

    @property
    def id(self) -> str:
        """The client's own id."""
        return str(self.body["order_id"])

    @property
    def is_kept(self) -> bool:
        """True for scarce goods: the buyer never cancels, so that all of them are sold."""
        return any(line["item"] in SCARCE_ITEMS for line in self.body["lines"])


def pickup_order(market: Market, rng: Random, item: str, *, site: str, channel: str = "app", payment: str) -> Order:
    """Return an order of one unit, to be collected at the site's point."""
    where = requests.pickup(f"{site}-point")
    lines = [goods(item, 1)]
    return Order(requests.order(new_id(rng), channel, market.day, f"{site}-side", lines, where, payment))


@dataclass
class Buyers:
    """The buyers of a run. `closing` ends them; while `paused` they order, pay and cancel, but repeat nothing.
    `accepted`: accepted orders by id.
    """

    client: HistoryClient
    market: Market
    rng: Random
    closing: bool = False
    paused: bool = False
    accepted: dict[str, Order] = field(default_factory=dict)
    _recent: list[Order] = field(default_factory=list)
    _schedule: list[tuple[float, int, str, Order]] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    _made: int = 0
    _count: int = 0

    async def buyer(self) -> None:
        """Act as one buyer until the market closes."""
        while not self.closing:
            if self._schedule and self._schedule[0][0] <= time.monotonic():
                _, _, what, order = heapq.heappop(self._schedule)
                await (self.pay(order) if what == "pay" else self.client.send(requests.cancel(order.id)))
            elif self._made < (time.monotonic() - self._began) * PER_SECOND or not self._recent:
                await self._place_new()
            elif self.paused:
                await asyncio.sleep(0.1)  # pause: the rate of new orders
            else:
                await self._repeat()

    async def _place_new(self) -> None:
        if self.rng.random() < 0.15:
            await self._place_batch([self._new_order() for _ in range(self.rng.randint(2, 6))])
            return
        order = self._new_order()
        # Some never retry after a lost answer: the outcome stays unknown, and all views must agree.
        answer = await self.place(order, retry_s=0 if self.rng.random() < 0.2 else RETRY_S)
        if answer.ok and self.rng.random() < 0.1:
            await self.client.order(order.id)

    async def place(self, order: Order, retry_s: float = RETRY_S) -> Answer:
        """Send an order, for the first time or again."""
        answer = await self.client.send(requests.place(order.body), retry_s)
        if answer.ok:
            self._record_accepted(order, answer.body)
        return answer

    async def _place_batch(self, orders: list[Order]) -> None:
        """Send the orders of a group chat in one request; an invalid one among them must not affect the others."""
        bodies = [order.body for order in orders]
        if self.rng.random() < 0.3:
            bodies.append({**bodies[0], "order_id": new_id(self.rng), "lines": []})
        found = await self.client.send(requests.place_batch(bodies))
        for order, one in zip(orders, found.body["answers"] if found.ok else [], strict=False):
            if one["status"] == 201:
                self._record_accepted(order, one["order"])

    async def pay(self, order: Order) -> None:
        """Pay the total, under one payment id however often it is sent."""
        await self.client.send(requests.pay(order.id, f"pay-{order.id}", order.total_fen))

    async def _repeat(self) -> None:
        order = self.rng.choice(self._recent)
        chance = self.rng.random()
        if chance < 0.02:
            await self.client.send(requests.place({**order.body, "lines": [goods("tea", 77)]}))
        elif chance < 0.1 and order.total_fen and order.body["payment"] != "pending":
            await self.pay(order)
        elif chance < 0.6:
            await self.place(order)
        else:
            await self.client.order(order.id)

    def _record_accepted(self, order: Order, answer: Mapping[str, Any]) -> None:
        if order.id in self.accepted:
            return
        order.code, order.total_fen = answer["code"], answer["total_fen"]
        self.accepted[order.id] = order
        self._recent = [*self._recent[-199:], order]
        if order.is_kept:
            return
        if order.body["payment"] == "pending" and self.rng.random() < 0.7:
            self._schedule_action("pay", order, self.rng.choice([0, 1, 3, HOLD_S - 0.5, HOLD_S, HOLD_S + 3]))
        if self.rng.random() < 0.15:
            self._schedule_action("cancel", order, self.rng.choice([0, 0.3, 1, 4, 12]))

    def _schedule_action(self, what: str, order: Order, delay: float) -> None:
        self._count += 1
        heapq.heappush(self._schedule, (time.monotonic() + delay, self._count, what, order))

    def _new_order(self) -> Order:
        self._made += 1
        rng = self.rng
        id, site, rare = new_id(rng), rng.choice(SITES), rng.random() < 0.2
        channel = rng.choice(["app", "group", "live", "stall"])
        lines = [goods(SCARCE, 1)] if rare else self._lines()
        where = self._fulfilment(site, delivery=not rare and rng.random() < 0.5)
        payment = rng.choice(["on_account", "prepaid", *(() if rare else ("pending",))])
        return Order(requests.order(id, channel, self.market.day, f"{site}-side", lines, where, payment))

    def _lines(self) -> list[Body]:
        items = self.rng.sample(["apples", "tea", "eggs"], self.rng.randint(1, 3))
        return [goods(item, self.rng.randint(1, 3)) for item in items]

    def _fulfilment(self, site: str, *, delivery: bool) -> Body:
        if not delivery:
            return requests.pickup(f"{site}-point")
        return requests.delivery("一栋", 28.2 + self.rng.uniform(-0.02, 0.02), 112.9 + self.rng.uniform(-0.02, 0.02))
