"""Buyers and the leaders of pickup points: they order, pay in time, late, twice or never, cancel, and collect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from deploy.scenarios.actors import requests
from deploy.scenarios.actors.buyers import Buyer
from deploy.scenarios.actors.client import Refused
from deploy.scenarios.actors.points import PickupPoint
from tests.simulation.invariant import check_invariant
from tests.simulation.market import CLOSES, DAY, ITEMS, OVER, POOLS, Market, fulfilment, goods


class Buyers:
    """All buyers. `following`: the buyers of accepted orders that know it, by the id of the order."""

    def __init__(self, market: Market, count: int) -> None:
        self.market, self.rng = market, market.rng
        self.following: dict[UUID, Buyer] = {}
        self._point = PickupPoint(market.client)
        self._pickups: list[UUID] = []
        for n in range(1, count + 1):
            market.at(self.rng.uniform(6.2, CLOSES - 0.4), self._order, f"o{n}")

    @property
    def accepted(self) -> Mapping[UUID, Mapping[str, Any]]:
        """Every order with a 201 that reached its buyer, as it was answered."""
        return {id: buyer.order for id, buyer in self.following.items() if buyer.order}

    async def _order(self, name: str) -> None:
        market, rng = self.market, self.rng
        id, community = market.id(name), rng.choice(sorted(POOLS))
        market.trace.name_order(id, name, POOLS[community])
        items = rng.sample(sorted(ITEMS), rng.choice((1, 1, 2)))
        lines = [goods(item, rng.randint(1, 4)) for item in items]
        where = fulfilment(community, delivery=market.chance(0.6))
        payment = rng.choice(("on_account", "on_account", "prepaid", "pending", "pending"))
        body = requests.order(id, "app", DAY, community, lines, where, payment)
        buyer = Buyer(market.client, body)
        if market.chance(0.2):
            market.after(rng.expovariate(2), self._place, id, buyer)
        if market.chance(0.1):
            other = Buyer(market.client, {**body, "lines": [goods(items[0], 9)]})
            market.after(rng.expovariate(2), self._place, id, other)
        await self._place(id, buyer)

    async def _place(self, id: UUID, buyer: Buyer) -> None:
        try:
            await buyer.place()
        except Refused as refusal:
            # different content arrived first under this id, or the market day is over
            check_invariant(refusal.status in {409, 422}, "an order is accepted or refused", f"{id}: {refusal}")
            return
        if id not in self.following:
            self.follow(id, buyer)
        check_invariant(self.following[id] is buyer, "different content is a conflict", f"{id}: {buyer.body}")

    def follow(self, id: UUID, buyer: Buyer) -> None:
        """Plan the buyer's next steps after an accepted order."""
        market, rng = self.market, self.rng
        self.following[id] = buyer
        order: Any = buyer.order
        if order["payment"] == "pending":
            self._pay(buyer)
        elif market.chance(0.05):
            market.after(rng.uniform(0, 3), buyer.pay, "late")
        if market.chance(0.25):
            hours = rng.expovariate(20) if market.chance(0.4) else rng.uniform(0, 9)
            market.after(hours, buyer.cancel, "changed-mind")
        if order["fulfilment"] == "pickup":
            self._pickups.append(id)
            market.after(rng.uniform(0.2, 6), self._hand_over, id, buyer.code)

    def _pay(self, buyer: Buyer) -> None:
        market, rng = self.market, self.rng
        kind = rng.random()
        if kind < 0.1:
            return
        hours = rng.uniform(0, 0.2) if kind < 0.5 else rng.uniform(0.2, 0.35) if kind < 0.8 else rng.uniform(0.3, 12)
        market.after(hours, buyer.pay, "m1")
        if market.chance(0.2):
            market.after(hours + rng.expovariate(10), buyer.pay, "m1")
        if market.chance(0.15):
            market.after(rng.uniform(0, 2), buyer.pay, "m2")

    async def _hand_over(self, id: UUID, code: str) -> None:
        market, rng, point = self.market, self.rng, self._point
        while not await point.set_out(id):
            if market.now >= OVER:
                return
            await market.pause(0.7)
        if market.chance(0.2):
            market.after(rng.uniform(0, 1), point.hand_over, id, "no code")
        if market.chance(0.75):
            market.after(rng.uniform(0, 3), point.hand_over, id, code)

    def finish(self) -> None:
        """Mark the remaining pickup orders ready, at points that are closed by now."""
        for id in self._pickups:
            self.market.after(0, self._point.set_out, id)
