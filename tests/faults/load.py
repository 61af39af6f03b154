"""Buyers who never rest: each sends its next request when the last is answered, so that many are always under way."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

from tests.faults.client import Answer, Client, Request, Verdict, judge_all
from tests.faults.history import Operation
from tests.faults.market import SCARCE, SCARCE_ITEMS, SITES, Market

BUYERS = 56
PER_SECOND = 12.0
"""New orders; beyond that buyers repeat what they sent, as impatient phones do, pay, cancel and look."""
HOLD_S = 6


@dataclass(slots=True)
class Order:
    """An order as its buyer remembers it; `code` and `total_fen` once it was taken."""

    id: str
    body: dict[str, Any]
    code: str = ""
    total_fen: int = 0

    @property
    def facts(self) -> dict[str, Any]:
        """What the history says of it."""
        return {
            "lines": [[line["item"], line["quantity"]] for line in self.body["lines"]],
            "payment": self.body["payment"],
            "fulfilment": self.body["fulfilment"]["kind"],
        }

    @property
    def is_kept(self) -> bool:
        """Whether its buyer wants it to the end: scarce goods, so that all of them find a buyer."""
        return any(line["item"] in SCARCE_ITEMS for line in self.body["lines"])


@dataclass
class Buyers:
    """The buyers of a run. `closing` ends them; while `paused` they order, pay and cancel, but repeat nothing.
    `accepted`: the orders that were accepted, by id.
    """

    client: Client
    market: Market
    rng: Random
    closing: bool = False
    paused: bool = False
    accepted: dict[str, Order] = field(default_factory=dict)
    _recent: list[Order] = field(default_factory=list)
    _agenda: list[tuple[float, int, str, Order]] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    _made: int = 0
    _count: int = 0

    async def buyer(self) -> None:
        """One buyer, until the market closes."""
        while not self.closing:
            if self._agenda and self._agenda[0][0] <= time.monotonic():
                _, _, what, order = heapq.heappop(self._agenda)
                await (self.pay(order) if what == "pay" else self.cancel(order))
            elif self._made < (time.monotonic() - self._began) * PER_SECOND or not self._recent:
                await self._order()
            elif self.paused:
                await asyncio.sleep(0.1)  # pause: the rate of new orders
            else:
                await self._again()

    async def _order(self) -> None:
        if self.rng.random() < 0.15:
            await self._list([self._new() for _ in range(self.rng.randint(2, 6))])
            return
        order = self._new()
        # Some never ask again after a lost answer: then nobody knows, and all views must agree.
        answer = await self.place(order, retry_s=0 if self.rng.random() < 0.2 else 60)
        if answer.ok and self.rng.random() < 0.1:
            await self.client.get("buyer", "orders", f"/v1/orders/{order.id}", wait=2)

    async def place(self, order: Order, *, retry_s: float = 60, kind: str = "place") -> Answer:
        """Sends an order, or sends it again."""
        operation = self._deed(kind, order.id, order.facts)
        answer = await self.client.send(
            Request("buyer", "orders", "POST", "/v1/orders", order.body), [operation], retry_s=retry_s
        )
        if answer.ok and kind == "place":
            self._accepted(order, answer.body)
        return answer

    async def _list(self, orders: list[Order]) -> None:
        """A chat's list; one line of it now and then is nonsense, which must not spoil the others."""
        bodies = [order.body for order in orders]
        if self.rng.random() < 0.3:
            bodies.append({**bodies[0], "order_id": str(UUID(int=self.rng.getrandbits(128), version=4)), "lines": []})
        operations = [self._deed("place", body["order_id"], self._facts(body)) for body in bodies]
        found = await self.client.send(
            Request("buyer", "orders", "POST", "/v1/orders:batch", bodies), operations, _each
        )
        for order, one in zip(orders, found.body["answers"] if found.ok else [], strict=False):
            if one["status"] == 201:
                self._accepted(order, one["order"])

    async def pay(self, order: Order) -> None:
        """Pays the total, under one payment id however often it is sent."""
        money = {"payment_id": f"pay-{order.id}", "amount_fen": order.total_fen}
        operation = self._deed("pay", order.id, {"payment": money["payment_id"]})
        await self.client.send(Request("buyer", "orders", "POST", f"/v1/orders/{order.id}:pay", money), [operation])

    async def cancel(self, order: Order) -> None:
        """Wants it no more; 409 where it is on its way."""
        operation = self._deed("cancel", order.id)
        await self.client.send(Request("buyer", "orders", "POST", f"/v1/orders/{order.id}:cancel"), [operation])

    async def _again(self) -> None:
        order = self.rng.choice(self._recent)
        chance = self.rng.random()
        if chance < 0.02:
            lines = [{"item": "tea", "quantity": 77}]
            await self.place(Order(order.id, {**order.body, "lines": lines}), kind="altered")
        elif chance < 0.1 and order.total_fen and order.body["payment"] != "pending":
            await self.pay(order)
        elif chance < 0.6:
            await self.place(order)
        else:
            await self.client.get("buyer", "orders", f"/v1/orders/{order.id}", wait=2)

    def _accepted(self, order: Order, told: Mapping[str, Any]) -> None:
        if order.id in self.accepted:
            return
        order.code, order.total_fen = told["code"], told["total_fen"]
        self.accepted[order.id] = order
        self._recent = [*self._recent[-199:], order]
        if order.is_kept:
            return
        if order.body["payment"] == "pending" and self.rng.random() < 0.7:
            self._plan("pay", order, self.rng.choice([0, 1, 3, HOLD_S - 0.5, HOLD_S, HOLD_S + 3]))
        if self.rng.random() < 0.15:
            self._plan("cancel", order, self.rng.choice([0, 0.3, 1, 4, 12]))

    def _plan(self, what: str, order: Order, delay: float) -> None:
        self._count += 1
        heapq.heappush(self._agenda, (time.monotonic() + delay, self._count, what, order))

    def _new(self) -> Order:
        self._made += 1
        id, site = str(UUID(int=self.rng.getrandbits(128), version=4)), self.rng.choice(SITES)
        rare = self.rng.random() < 0.2
        body = {
            "order_id": id,
            "channel": self.rng.choice(["app", "group", "live", "stall"]),
            "market_day": self.market.day,
            "community": f"{site}-side",
            "recipient": {"name": "某人", "phone": "13800000000"},
            "lines": [{"item": SCARCE, "quantity": 1}] if rare else self._lines(),
            "fulfilment": self._fulfilment(site, delivery=not rare and self.rng.random() < 0.5),
            "payment": self.rng.choice(["on_account", "prepaid", *(() if rare else ("pending",))]),
        }
        return Order(id, body)

    def _lines(self) -> list[dict[str, Any]]:
        items = self.rng.sample(["apples", "tea", "eggs"], self.rng.randint(1, 3))
        return [{"item": item, "quantity": self.rng.randint(1, 3)} for item in items]

    def _fulfilment(self, site: str, *, delivery: bool) -> dict[str, Any]:
        if not delivery:
            return {"kind": "pickup", "point": f"{site}-point"}
        lat, lon = 28.2 + self.rng.uniform(-0.02, 0.02), 112.9 + self.rng.uniform(-0.02, 0.02)
        return {"kind": "delivery", "address": {"text": "一栋", "lat": lat, "lon": lon}}

    @staticmethod
    def _facts(body: dict[str, Any]) -> dict[str, Any]:
        return Order(body["order_id"], body).facts

    def _deed(self, kind: str, subject: str, data: Mapping[str, Any] | None = None) -> Operation:
        self._count += 1
        return Operation(f"{kind}-{self._count}", kind, subject, data or {})


def _each(operations: Sequence[Operation], answer: Answer) -> list[Verdict]:
    """Each order of a batch by its own answer."""
    if not answer.ok:
        return judge_all(operations, answer)
    return [
        verdict
        for operation, own in zip(operations, answer.body["answers"], strict=True)
        for verdict in judge_all([operation], _alone(own))
    ]


def _alone(own: Mapping[str, Any]) -> Answer:
    return Answer(0 if own["status"] >= 500 else own["status"], own.get("order") or own.get("problem"))
