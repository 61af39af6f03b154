"""Buyers without pauses: each sends its next request when the last one is answered, so many are always in flight."""

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
"""Rate of new orders. In the remaining time buyers repeat requests, as impatient phones do, pay, cancel and read."""
HOLD_S = 6


@dataclass(slots=True)
class Order:
    """An order as its buyer remembers it; `code` and `total_fen` are set once it was accepted."""

    id: str
    body: dict[str, Any]
    code: str = ""
    total_fen: int = 0

    @property
    def facts(self) -> dict[str, Any]:
        """The order's content as recorded in the history."""
        return {
            "lines": [[line["item"], line["quantity"]] for line in self.body["lines"]],
            "payment": self.body["payment"],
            "fulfilment": self.body["fulfilment"]["kind"],
        }

    @property
    def is_kept(self) -> bool:
        """True for scarce goods: the buyer never cancels, so that all of them are sold."""
        return any(line["item"] in SCARCE_ITEMS for line in self.body["lines"])


@dataclass
class Buyers:
    """The buyers of a run. `closing` ends them; while `paused` they order, pay and cancel, but repeat nothing.
    `accepted`: accepted orders by id.
    """

    client: Client
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
                await (self.pay(order) if what == "pay" else self.cancel(order))
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
        answer = await self.place(order, retry_s=0 if self.rng.random() < 0.2 else 60)
        if answer.ok and self.rng.random() < 0.1:
            await self.client.get("buyer", "orders", f"/v1/orders/{order.id}", wait=2)

    async def place(self, order: Order, *, retry_s: float = 60, kind: str = "place") -> Answer:
        """Send an order, for the first time or again."""
        operation = self._operation(kind, order.id, order.facts)
        answer = await self.client.send(
            Request("buyer", "orders", "POST", "/v1/orders", order.body), [operation], retry_s=retry_s
        )
        if answer.ok and kind == "place":
            self._record_accepted(order, answer.body)
        return answer

    async def _place_batch(self, orders: list[Order]) -> None:
        """Send the orders of a group chat in one request; an invalid one among them must not affect the others."""
        bodies = [order.body for order in orders]
        if self.rng.random() < 0.3:
            bodies.append({**bodies[0], "order_id": str(UUID(int=self.rng.getrandbits(128), version=4)), "lines": []})
        operations = [self._operation("place", body["order_id"], self._facts(body)) for body in bodies]
        found = await self.client.send(
            Request("buyer", "orders", "POST", "/v1/orders:batch", bodies), operations, _judge_batch
        )
        for order, one in zip(orders, found.body["answers"] if found.ok else [], strict=False):
            if one["status"] == 201:
                self._record_accepted(order, one["order"])

    async def pay(self, order: Order) -> None:
        """Pay the total, under one payment id however often it is sent."""
        money = {"payment_id": f"pay-{order.id}", "amount_fen": order.total_fen}
        operation = self._operation("pay", order.id, {"payment": money["payment_id"]})
        await self.client.send(Request("buyer", "orders", "POST", f"/v1/orders/{order.id}:pay", money), [operation])

    async def cancel(self, order: Order) -> None:
        """Cancel the order; the answer is 409 once it is on its way."""
        operation = self._operation("cancel", order.id)
        await self.client.send(Request("buyer", "orders", "POST", f"/v1/orders/{order.id}:cancel"), [operation])

    async def _repeat(self) -> None:
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

    def _operation(self, kind: str, subject: str, data: Mapping[str, Any] | None = None) -> Operation:
        self._count += 1
        return Operation(f"{kind}-{self._count}", kind, subject, data or {})


def _judge_batch(operations: Sequence[Operation], answer: Answer) -> list[Verdict]:
    """Judge each order of a batch by its own answer."""
    if not answer.ok:
        return judge_all(operations, answer)
    return [
        verdict
        for operation, own in zip(operations, answer.body["answers"], strict=True)
        for verdict in judge_all([operation], _single_answer(own))
    ]


def _single_answer(own: Mapping[str, Any]) -> Answer:
    return Answer(0 if own["status"] >= 500 else own["status"], own.get("order") or own.get("problem"))
