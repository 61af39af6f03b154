"""Group-buys: leaders open them; neighbours join once, twice, too late or withdraw, and collect the result."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from deploy.scenarios.actors import requests
from deploy.scenarios.actors.buyers import Buyer
from deploy.scenarios.actors.client import Refused, call
from deploy.scenarios.actors.group_buys import Leader, Member
from tests.simulation.buyers import Buyers
from tests.simulation.invariant import check_invariant
from tests.simulation.market import DAY, ITEMS, POOLS, Market, fulfilment, goods, hour
from tests.simulation.memory import DatabaseFaults

LATEST = 15.0
"""The last hour of a cutoff."""
RUSH = 0.002
"""Hours before a cutoff in which many join at once."""
THRESHOLDS = {"people": 2, "weight": 1000, "amount": 900}


class CampaignActors:
    """All leaders and members. `accepted`: every join with a 201 that reached its buyer, by id."""

    def __init__(self, market: Market, buyers: Buyers, database_faults: DatabaseFaults, count: int) -> None:
        self.market, self.rng, self._buyers, self._database_faults = market, market.rng, buyers, database_faults
        self.accepted: dict[UUID, Member] = {}
        self._pledged: dict[UUID, Member] = {}
        for n in range(1, count + 1):
            market.at(self.rng.uniform(6.3, 12), self._open, f"g{n}")

    async def _open(self, name: str) -> None:
        market, rng = self.market, self.rng
        id, community = market.id(name), rng.choice(sorted(POOLS))
        items = rng.sample(sorted(ITEMS), rng.choice((1, 1, 2)))
        closes, of = rng.uniform(max(7.5, market.now + 0.3), LATEST), rng.choice(sorted(THRESHOLDS))
        threshold = {"of": of, "at_least": THRESHOLDS[of]}
        rule, sold = (
            rng.choice(("first-come", "at-least-one-each")),
            [goods(item, rng.choice((10, 40))) for item in items],
        )
        opening = partial(Leader(market.client, id, DAY, community).open, hour(closes), sold, threshold, rule)
        if market.chance(0.2):
            market.after(0, opening)
        await opening()  # refused where its cutoff has already passed
        rush = closes - rng.uniform(0, RUSH)
        if market.chance(market.world.faults.slow_database):
            market.at(rush, self._database_faults.slow_until, market.clock.second_of(hour(closes)) + 1)
        for k in range(1, rng.randint(3, 13)):
            hours = rng.uniform(market.now, closes + 0.1) if market.chance(0.5) else rush
            market.at(hours, self._join, id, f"{name}.{k}", community, items)
        for hours in (0.5, 1.5, 3):
            market.at(closes + hours, self._look, id)

    async def _join(self, campaign: UUID, name: str, community: str, items: list[str]) -> None:
        market, rng, id = self.market, self.rng, self.market.id(name)
        lines = [goods(item, rng.randint(1, 6)) for item in rng.sample(items, rng.randint(1, len(items)))]
        who = {"name": "n", "phone": f"1380000000{rng.randint(0, 9)}"}
        where = fulfilment(community, delivery=market.chance(0.5))
        pledge = requests.pledge(lines, where, rng.choice(("on_account", "prepaid", "pending")), who)
        member = Member(market.client, campaign, id, pledge)
        if market.chance(0.2):
            market.after(rng.expovariate(2), self._send_join, id, member)
        if market.chance(0.2):
            market.after(rng.expovariate(2), member.withdraw)
        await self._send_join(id, member)

    async def _send_join(self, id: UUID, member: Member) -> None:
        try:
            await member.join()
        except Refused as refusal:  # closed, its cap is reached, or its pickup point is not in the catalogue yet
            check_invariant(refusal.status in {409, 422}, "a join is accepted or refused", f"{id}: {refusal}")
            return
        if id not in self.accepted:
            self.accepted[id] = self._pledged[id] = member

    async def _look(self, campaign: UUID) -> None:
        """Read the joins of a group-buy that have not ended; a buyer then follows each new order like any other."""
        client = self.market.client
        for id, member in [(id, member) for id, member in self._pledged.items() if member.campaign == campaign]:
            join = await member.read()
            if join["state"] != "pledged" and self._pledged.pop(id, None) and join["order_id"]:
                order = UUID(join["order_id"])
                self.market.trace.name(order, f"{self.market.trace.readable(str(id))}.order")
                self._buyers.follow(order, Buyer.of(client, await call(client, requests.read_order(order))))

    def finish(self) -> None:
        """Read the joins once more."""
        for campaign in dict.fromkeys(member.campaign for member in self._pledged.values()):
            self.market.after(0, self._look, campaign)
