"""Buyers and the leaders of pickup points: they order, pay in time, late, twice or never, cancel, and collect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from deploy.scenarios.actors import requests
from deploy.scenarios.actors.client import Request
from deploy.scenarios.actors.requests import Body
from tests.simulation.invariant import check_invariant
from tests.simulation.market import CLOSES, DAY, ITEMS, OVER, POOLS, Market, fulfilment, goods

View = Mapping[str, Any]


class Buyers:
    """All buyers. `accepted`: every order with a 201 that reached its buyer, as it was answered."""

    def __init__(self, market: Market, count: int) -> None:
        self.market, self.rng = market, market.rng
        self.accepted: dict[UUID, Any] = {}
        self._pickups: list[UUID] = []
        for n in range(1, count + 1):
            market.at(self.rng.uniform(6.2, CLOSES - 0.4), self._order, f"o{n}")

    async def _order(self, name: str) -> None:
        market, rng = self.market, self.rng
        id, community = market.id(name), rng.choice(sorted(POOLS))
        market.trace.name_order(id, name, POOLS[community])
        items = rng.sample(sorted(ITEMS), rng.choice((1, 1, 2)))
        lines = [goods(item, rng.randint(1, 4)) for item in items]
        where = fulfilment(community, delivery=market.chance(0.6))
        payment = rng.choice(("on_account", "on_account", "prepaid", "pending", "pending"))
        body = requests.order(id, "app", DAY, community, lines, where, payment)
        if market.chance(0.2):
            market.after(rng.expovariate(2), self._place, id, body)
        if market.chance(0.1):
            market.after(rng.expovariate(2), self._place, id, {**body, "lines": [goods(items[0], 9)]})
        await self._place(id, body)

    async def _place(self, id: UUID, body: Body) -> None:
        answer = await self.market.send(requests.place(body))
        if not answer.ok:
            # different content arrived first under this id, or the market day is over
            check_invariant(answer.status in {409, 422}, "an order is accepted or refused", f"{id}: {answer}")
            return
        known = self.accepted.get(id, answer.body)
        check_invariant(known == answer.body, "the same request has the same answer", f"{known}, {answer.body}")
        accepted, requested = ([(one["item"], requests.amount_of(one)) for one in lines]
                               for lines in (answer.body["lines"], body["lines"]))  # fmt: skip
        check_invariant(
            accepted == requested, "different content is a conflict", f"{id}: {requested} was answered {accepted}"
        )
        if id not in self.accepted:
            self.follow_order(id, answer.body)

    def follow_order(self, id: UUID, order: View) -> None:
        """Plan the buyer's next steps after an accepted order."""
        market, rng = self.market, self.rng
        self.accepted[id] = order
        total = order["total_fen"]
        if order["payment"] == "pending":
            self._pay(id, total)
        elif market.chance(0.05):
            self._send_after(rng.uniform(0, 3), requests.pay(id, "late", total))
        if market.chance(0.25):
            hours = rng.expovariate(20) if market.chance(0.4) else rng.uniform(0, 9)
            self._send_after(hours, requests.cancel(id, "changed-mind"))
        if order["fulfilment"] == "pickup":
            self._pickups.append(id)
            market.after(rng.uniform(0.2, 6), self._hand_over, id, order["code"])

    def _pay(self, id: UUID, total: int) -> None:
        market, rng = self.market, self.rng
        kind = rng.random()
        if kind < 0.1:
            return
        hours = rng.uniform(0, 0.2) if kind < 0.5 else rng.uniform(0.2, 0.35) if kind < 0.8 else rng.uniform(0.3, 12)
        self._send_after(hours, requests.pay(id, "m1", total))
        if market.chance(0.2):
            self._send_after(hours + rng.expovariate(10), requests.pay(id, "m1", total))
        if market.chance(0.15):
            self._send_after(rng.uniform(0, 2), requests.pay(id, "m2", total))

    def _send_after(self, hours: float, request: Request) -> None:
        self.market.after(hours, self.market.send, request)

    async def _hand_over(self, id: UUID, code: str) -> None:
        market, rng = self.market, self.rng
        while not (await market.send(requests.ready(id))).ok:
            if market.now >= OVER:
                return
            await market.pause(0.7)
        if market.chance(0.2):
            self._send_after(rng.uniform(0, 1), requests.collect(id, "no code"))
        if market.chance(0.75):
            self._send_after(rng.uniform(0, 3), requests.collect(id, code))

    def finish(self) -> None:
        """Mark the remaining pickup orders ready, at points that are closed by now."""
        for id in self._pickups:
            self._send_after(0, requests.ready(id))
