"""Buyers and the leaders of pickup points: they order, pay in time, late, twice or never, cancel, and collect."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from services.kit.http.problems import Problem
from services.orders.api.schemas.order import NewOrder
from services.orders.domain.order import order as o
from tests.simulation.invariant import check_invariant
from tests.simulation.market import CLOSES, DAY, ITEMS, OVER, POOLS, Market, goods


class Buyers:
    """All buyers. `accepted`: every order with a 201 that reached its buyer."""

    def __init__(self, market: Market, count: int) -> None:
        self.market, self.rng = market, market.rng
        self.accepted: dict[UUID, o.Order] = {}
        self._pickups: dict[UUID, str] = {}
        for n in range(1, count + 1):
            market.at(self.rng.uniform(6.2, CLOSES - 0.4), self._order, f"o{n}")

    def _order(self, name: str) -> None:
        market, rng = self.market, self.rng
        id, community = market.id(name), rng.choice(sorted(POOLS))
        market.trace.name_order(id, name, POOLS[community])
        items = rng.sample(sorted(ITEMS), rng.choice((1, 1, 2)))
        delivery = {"kind": "delivery", "address": {"text": "door", "lat": 30.1, "lon": 120.1}}
        body = {
            "channel": "app",
            "market_day": DAY,
            "community": community,
            "recipient": {"name": "n", "phone": "13800000000"},
            "lines": [goods(item, rng.randint(1, 4)) for item in items],
            "fulfilment": delivery if market.chance(0.6) else {"kind": "pickup", "point": f"p{community}"},
            "payment": rng.choice(("on_account", "on_account", "prepaid", "pending", "pending")),
        }
        self._place(id, name, body)
        if market.chance(0.2):
            market.at(market.now + rng.expovariate(2), self._place, id, name, body)
        if market.chance(0.1):
            other = {**body, "lines": [goods(items[0], 9)]}
            market.at(market.now + rng.expovariate(2), self._place, id, name, other)

    def _place(self, id: UUID, name: str, body: dict[str, Any]) -> None:
        request = NewOrder.model_validate(body)

        def on_answer(answer: o.Order | Problem) -> None:
            if isinstance(answer, Problem):
                # different content arrived first under this id, or the market day is over
                check_invariant(answer.status in {409, 422}, "an order is accepted or refused", f"{name}: {answer}")
            elif id not in self.accepted:
                self.follow_order(id, name, answer)
            else:
                known = self.accepted[id].terms
                check_invariant(
                    known == answer.terms, "the same request has the same answer", f"{known}, {answer.terms}"
                )
            if isinstance(answer, o.Order):
                accepted_lines = [(line.item, line.quantity) for line in answer.terms.lines]
                requested_lines = [(line.item, line.quantity or line.weight_g) for line in request.lines]
                check_invariant(
                    accepted_lines == requested_lines,
                    "different content is a conflict",
                    f"{name}: {requested_lines} was answered {accepted_lines}",
                )

        self.market.client.place(id, request, f"order {name}", on_answer)

    def follow_order(self, id: UUID, name: str, order: o.Order) -> None:
        """Plan the buyer's next steps after an accepted order."""
        market, rng = self.market, self.rng
        self.accepted[id] = order
        total = order.terms.total_fen
        if order.terms.payment == "pending":
            self._pay(id, name, total)
        elif market.chance(0.05):
            self._at(rng.uniform(0, 3), id, o.Paid("late", total), f"pay {name} once more")
        if market.chance(0.25):
            hours = rng.expovariate(20) if market.chance(0.4) else rng.uniform(0, 9)
            self._at(hours, id, o.Cancel("changed my mind"), f"cancel {name}")
        if not order.terms.is_delivery:
            self._pickups[id] = name
            market.at(market.now + rng.uniform(0.2, 6), self._ready, id, name, order.terms.code)

    def _pay(self, id: UUID, name: str, total: int) -> None:
        market, rng = self.market, self.rng
        kind = rng.random()
        if kind < 0.1:
            return
        hours = rng.uniform(0, 0.2) if kind < 0.5 else rng.uniform(0.2, 0.35) if kind < 0.8 else rng.uniform(0.3, 12)
        self._at(hours, id, o.Paid("m1", total), f"pay {name}")
        if market.chance(0.2):
            self._at(hours + rng.expovariate(10), id, o.Paid("m1", total), f"pay {name} again")
        if market.chance(0.15):
            self._at(rng.uniform(0, 2), id, o.Paid("m2", total), f"pay {name} twice")

    def _at(self, hours: float, id: UUID, message: Any, what: str) -> None:
        market = self.market
        market.at(market.now + hours, market.client.send_command, id, message, what)

    def _ready(self, id: UUID, name: str, code: str) -> None:
        market, rng = self.market, self.rng

        def on_answer(answer: Any) -> None:
            if isinstance(answer, Problem):
                if market.now < OVER:
                    market.at(market.now + 0.7, self._ready, id, name, code)
                return
            if market.chance(0.2):
                self._at(rng.uniform(0, 1), id, o.Collect("no code"), f"collect {name} with a wrong code")
            if market.chance(0.75):
                self._at(rng.uniform(0, 3), id, o.Collect(code), f"collect {name}")

        market.client.send_command(id, o.Ready(), f"ready {name}", on_answer)

    def finish(self) -> None:
        """Mark the remaining pickup orders ready, at points that are closed by now."""
        for id, name in self._pickups.items():
            self.market.client.send_command(id, o.Ready(), f"ready {name}")
