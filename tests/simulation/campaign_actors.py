"""Group-buys: leaders open them; neighbours join once, twice, too late or withdraw, and collect the result."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from services.kit.http.problems import Problem
from services.orders.api.schemas.campaign import NewCampaign, NewJoin
from services.orders.commands.campaign import open_campaign, withdraw_join
from services.orders.commands.join_campaign import JoinCampaigns
from services.orders.domain.campaign.join import Join, JoinState
from services.orders.repository.catalog import CatalogCache
from tests.simulation.buyers import Buyers
from tests.simulation.invariant import check_invariant
from tests.simulation.market import DAY, ITEMS, POOLS, Market, goods, hour
from tests.simulation.memory import DatabaseFaults
from tests.simulation.processes import Process

LATEST = 15.0
"""The last hour of a cutoff."""
RUSH = 0.002
"""Hours before a cutoff in which many join at once."""


class CampaignActors:
    """All leaders and members. `accepted`: every join with a 201 that reached its buyer, by id."""

    def __init__(self, market: Market, buyers: Buyers, database_faults: DatabaseFaults, count: int) -> None:
        self.market, self.rng, self._buyers, self._database_faults = market, market.rng, buyers, database_faults
        self.accepted: dict[UUID, Join] = {}
        self._followed: set[UUID] = set()
        for n in range(1, count + 1):
            market.at(self.rng.uniform(6.3, 12), self._open, f"g{n}")

    def _open(self, name: str) -> None:
        market, rng = self.market, self.rng
        id, community = market.id(name), rng.choice(sorted(POOLS))
        items = rng.sample(sorted(ITEMS), rng.choice((1, 1, 2)))
        closes = rng.uniform(max(7.5, market.now + 0.3), LATEST)
        of = rng.choice(("people", "weight", "amount"))
        request = NewCampaign.model_validate({
            "campaign_id": id,
            "market_day": DAY,
            "community": community,
            "closes_at": hour(closes),
            "goods": [goods(item, rng.choice((10, 40))) for item in items],
            "threshold": {"of": of, "at_least": {"people": 2, "weight": 1000, "amount": 900}[of]},
            "shortfall": rng.choice(("first-come", "at-least-one-each")),
        })  # fmt: skip

        async def work(process: Process) -> Any:
            cache = process.memo.setdefault("catalog", CatalogCache())
            return await open_campaign(process.context, cache, request.command(None))

        def on_answer(answer: Any) -> None:
            if isinstance(answer, Problem):  # its cutoff has already passed
                return
            rush = closes - rng.uniform(0, RUSH)
            if market.chance(market.world.faults.slow_database):
                market.at(rush, self._database_faults.slow_until, market.clock.second_of(hour(closes)) + 1)
            for k in range(1, rng.randint(3, 13)):
                hours = rng.uniform(market.now, closes + 0.1) if market.chance(0.5) else rush
                market.at(hours, self._join, id, f"{name}.{k}", community, items)
            for hours in (0.5, 1.5, 3):
                market.at(closes + hours, self.look)

        market.client.send("orders", f"open {name}", work, on_answer)
        if market.chance(0.2):
            market.client.send("orders", f"open {name} again", work)

    def _join(self, campaign: UUID, name: str, community: str, items: list[str]) -> None:
        market, rng, id = self.market, self.rng, self.market.id(name)
        delivery = {"kind": "delivery", "address": {"text": "door", "lat": 30.1, "lon": 120.1}}
        request = NewJoin.model_validate({
            "recipient": {"name": "n", "phone": f"1380000000{rng.randint(0, 9)}"},
            "lines": [goods(item, rng.randint(1, 6)) for item in rng.sample(items, rng.randint(1, len(items)))],
            "fulfilment": delivery if market.chance(0.5) else {"kind": "pickup", "point": f"p{community}"},
            "payment": rng.choice(("on_account", "prepaid", "prepaid")),
        })  # fmt: skip

        key = f"joining {rng.randint(1, 2)}"  # one of the API's two processes

        async def work(process: Process) -> Any:
            joining = process.memo.get(key)
            if joining is None:
                joining = process.memo[key] = JoinCampaigns(process.context, CatalogCache())
            return await joining.submit(request.command(campaign, str(id)))

        def on_answer(answer: Join | Problem) -> None:
            if isinstance(
                answer, Problem
            ):  # closed, its cap is reached, or its pickup point is not in the catalogue yet
                check_invariant(answer.status in {409, 422}, "a join is accepted or refused", f"{name}: {answer}")
                return
            known = self.accepted.setdefault(id, answer)
            check_invariant(known.terms == answer.terms, "the same request has the same answer", f"{known}, {answer}")

        market.client.send("orders", f"join {name}", work, on_answer)
        if market.chance(0.2):
            market.at(
                market.now + rng.expovariate(2), market.client.send, "orders", f"join {name} again", work, on_answer
            )
        if market.chance(0.2):
            market.at(market.now + rng.expovariate(2), self._withdraw, campaign, id, name)

    def _withdraw(self, campaign: UUID, id: UUID, name: str) -> None:
        async def work(process: Process) -> Any:
            return await withdraw_join(process.context, campaign, id)

        self.market.client.send("orders", f"withdraw {name}", work)

    def look(self) -> None:
        """Read the state of all joins; a buyer then follows each new order like any other."""

        async def work(process: Process) -> Any:
            joins = await process.context.store.find_joins(sorted(self.accepted))
            made = [join.terms.order for join, _ in joins.values() if join.state is JoinState.ORDERED]
            return await process.context.store.find_orders(made)

        def on_answer(found: dict[UUID, Any]) -> None:
            for n, id in enumerate(sorted(found.keys() - self._followed), 1):
                self._followed.add(id)
                self._buyers.follow_order(id, f"j{len(self._followed)}.{n}", found[id][0])

        if self.accepted:
            self.market.client.send("orders", "look at the joins", work, on_answer)

    def finish(self) -> None:
        """Read the joins once more."""
        self.look()
