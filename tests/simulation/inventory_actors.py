"""The operator of inventory: receives lots, lends stock to stalls, counts, wastes, closes and reopens."""

from __future__ import annotations

from deploy.scenarios.actors import requests
from deploy.scenarios.actors.operators import Operator
from tests.simulation.market import DAY, ITEMS, POOLS, TERMINALS, Market, goods, hour
from tests.small_market import HOUSEHOLD


class InventoryOperator(Operator):
    """All requests to inventory."""

    def __init__(self, market: Market) -> None:
        super().__init__(market.client)
        self.market, self.rng = market, market.rng
        rng, pools = self.rng, sorted(POOLS.values())
        for pool in pools:
            for item in sorted(ITEMS):
                market.at(6.05, self._receive, pool, item, rng.choice((6, 20, 40, 40)))
                if market.chance(0.3):
                    market.at(rng.uniform(8, 14), self._receive, pool, item, rng.randint(3, 12))
        for terminal in sorted(TERMINALS):
            for item in rng.sample(sorted(ITEMS), 2):
                market.at(rng.uniform(6.2, 9), self._lend, terminal, item)
        for _ in range(rng.randint(0, 3)):
            market.at(rng.uniform(7, 17), self._shrink, rng.choice(pools), rng.choice(sorted(ITEMS)))
        if market.chance(0.3):
            market.at(rng.uniform(7, 15), self._close, rng.choice(pools), rng.choice(sorted(ITEMS)))
        if market.chance(0.3):
            market.at(rng.uniform(8, 15), self._move, rng.choice(sorted(ITEMS)))

    async def _receive(self, pool: str, item: str, amount: int) -> None:
        rng, id = self.rng, self.market.id(f"lot-{pool}-{item}")
        sell_by = hour(rng.uniform(18, 30)) if rng.random() < 0.7 else None
        passed = rng.choice((amount, amount, amount, max(1, amount - 2))) if rng.random() < 0.95 else 0
        harvested = hour(rng.uniform(3, 6))
        await self.take_in(id, pool, goods(item, amount), HOUSEHOLD, harvested, sell_by, passed)

    async def _lend(self, terminal: str, item: str) -> None:
        rng, market, pool = self.rng, self.market, f"{DAY}@{TERMINALS[terminal]}"
        id, lent, until = market.id(f"lend-{terminal}-{item}"), goods(item, rng.randint(2, 12)), rng.uniform(9.5, 19)
        if market.chance(0.3):
            again = requests.renew(pool, terminal, item, hour(rng.uniform(12, 20)))
            market.at(rng.uniform(9.5, 18), market.send, again)
        market.at(rng.uniform(16, 19.5), self._return, pool, terminal, item)
        await market.send(requests.lend(id, pool, terminal, lent, hour(until)))

    async def _return(self, pool: str, terminal: str, item: str) -> None:
        id, back = self.market.id(f"return-{terminal}-{item}"), goods(item, self.rng.choice((0, 0, 1, 2, 5, 13)))
        await self.market.send(requests.give_back(id, pool, terminal, back))

    async def _move(self, item: str) -> None:
        rng, id = self.rng, self.market.id(f"move-{item}")
        moved, until = goods(item, rng.randint(1, 4)), hour(rng.uniform(15, 19))
        await self.market.send(requests.move(id, f"{DAY}@s1", ("t1", "t2"), moved, until))

    async def _shrink(self, pool: str, item: str) -> None:
        """Waste goods, or count another quantity than recorded."""
        rng, id = self.rng, self.market.id(f"shrink-{pool}-{item}")
        if rng.random() < 0.5:
            reason = rng.choice(("spoiled", "damaged", "other"))
            await self.market.send(requests.waste(id, pool, goods(item, rng.randint(1, 8)), reason))
        else:
            at = hour(max(6.5, self.market.now - rng.uniform(0, 1)))
            await self.market.send(requests.count(id, pool, item, rng.randint(0, 25), at))

    async def _close(self, pool: str, item: str) -> None:
        if (await self.market.send(requests.close_item(pool, item))).ok and self.rng.random() < 0.6:
            await self.market.pause(self.rng.uniform(0.1, 2))
            await self.market.send(requests.reopen_item(pool, item))
