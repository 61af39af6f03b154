"""The market of the fault tests: a catalogue, lots, and stock lent to stalls."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_OID, UUID, uuid5

from contracts.values import pool_of
from deploy.scenarios.actors import requests
from deploy.scenarios.actors.client import Client, call
from deploy.scenarios.actors.operators import Operator
from deploy.scenarios.actors.requests import goods
from tests.small_market import HOUSEHOLD, SmallMarket, wave

SITES = ("north", "south")
SCARCE, BURST = "truffles", "lychees"
SCARCE_ITEMS = frozenset({SCARCE, BURST})
"""Items with less stock than demand; their buyers keep what they get."""
STOCK = {"apples": 400_000, "tea": 400_000, "eggs": 600, SCARCE: 40}
"""Pieces of each item at each site: plenty, plenty, too few for a busy day, and far too few."""
LENT = {"apples": 20_000, "tea": 20_000, "eggs": 100}
TERMINALS, COURIERS, WAVES = 6, 6, 60


@dataclass(frozen=True, slots=True)
class Market:
    """One market day in real time: no deadline passes during a run, except those of holds."""

    day: str
    now: datetime

    def pool(self, site: str) -> str:
        """Return the stock pool of a site."""
        return pool_of(self.day, site)

    def id(self, *names: str) -> UUID:
        """Return the id of a thing of this day by its names."""
        return uuid5(NAMESPACE_OID, "/".join((self.day, *names)))

    def after(self, hours: float) -> datetime:
        """Return the instant that many hours after the opening."""
        return self.now + timedelta(hours=hours)

    @property
    def terminals(self) -> dict[str, str]:
        """Sites by terminal id."""
        return {f"till-{n}": SITES[n % len(SITES)] for n in range(TERMINALS)}

    @property
    def couriers(self) -> list[str]:
        """Ids of the couriers."""
        return [f"rider-{n}" for n in range(COURIERS)]

    @property
    def catalogue(self) -> SmallMarket:
        """The catalogue."""
        return SmallMarket(
            day=self.day,
            date=self.after(48).date(),
            opens_at=self.after(-1),
            closes_at=self.after(10),
            prices_since=self.after(-24),
            price_fen=250,
            sites={site: f"{site}-side" for site in SITES},
            points={f"{site}-point": f"{site}-side" for site in SITES},
            items={item: {"unit": "piece", "unit_g": 10} for item in STOCK},
            terminals=self.terminals,
            couriers=self.couriers,
            waves=[
                wave(f"{self.day}-w{n:02}", self.after(11), (self.after(12 + n / 60), self.after(24 + n / 60)), 10_000)
                for n in range(WAVES)
            ],
        )


def new_market() -> Market:
    """Return tomorrow's market."""
    now = datetime.now(UTC)
    return Market(f"m{now:%Y%m%d}", now)


async def open_market(client: Client, market: Market) -> None:
    """Put the catalogue, receive the first lots and lend stock to the stalls; every service knows them on return."""
    await Operator(client).write_catalogue(market.catalogue.entries())
    await receive_lots(client, market, STOCK, "first")
    until = market.after(9)
    loans = [
        requests.lend(market.id(id, item, "loan"), market.pool(site), id, goods(item, LENT[item]), until)
        for id, site in market.terminals.items()
        for item in LENT
    ]
    await asyncio.gather(*(call(client, loan) for loan in loans))


async def receive_lots(client: Client, market: Market, stock: Mapping[str, int], name: str) -> None:
    """Receive a lot of each item at each site; all of it passes its inspection."""
    operator = Operator(client)
    lots = [
        operator.take_in(market.id(site, item, name), market.pool(site), goods(item, quantity), HOUSEHOLD, market.now)
        for site in SITES
        for item, quantity in stock.items()
    ]
    await asyncio.gather(*lots)
