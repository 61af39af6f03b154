"""The small market of every run: its catalogue and its hours."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from contracts.events import catalog as c
from contracts.values import Channel, Unit, pool_of
from services.orders.domain.catalog import LOCAL
from tests.simulation.client import Client
from tests.simulation.processes import World
from tests.simulation.trace import Trace

DATE = date(2026, 5, 1)
MIDNIGHT = datetime(2026, 5, 1, tzinfo=LOCAL)
DAY = "d1"
OPENS, CLOSES, POINTS_CLOSE, OVER = 6.0, 17.0, 20.0, 20.5
WAVES = {"w1": (10.0, 11.0, 13.0), "w2": (15.0, 16.0, 18.0)}
SITES = {"s1": "c1", "s2": "c2"}
POOLS = {community: pool_of(DAY, site) for site, community in SITES.items()}
TERMINALS = {"t1": "s1", "t2": "s1", "t3": "s2"}
COURIERS = ("k1", "k2")
ITEMS = {"egg": Unit.PIECE, "tofu": Unit.PIECE, "leaf": Unit.GRAM}


def hour(hours: float) -> datetime:
    """Return a time of the market day, from hours since local midnight."""
    return (MIDNIGHT + timedelta(seconds=round(hours * 3600, 3))).astimezone(UTC)


class Market:
    """The interface of the actors: clock, chance and ids of a run."""

    def __init__(self, world: World, client: Client, trace: Trace) -> None:
        self.world, self.client, self.trace, self.rng = world, client, trace, world.rng
        self.clock: Any = world.clock
        self.ids = 0

    def at(self, hours: float, act: Callable[..., Any], *args: Any) -> None:
        """Let an actor act at an hour of the day, or now if that has passed."""
        self.world.scheduler.at(self.clock.second_of(hour(hours)), act, *args)

    @property
    def now(self) -> float:
        """Hours since midnight."""
        return (self.clock.now() - MIDNIGHT).total_seconds() / 3600

    def id(self, name: str) -> UUID:
        """Return a new client id, named in the trace."""
        id = UUID(int=self.rng.getrandbits(128), version=4)
        self.trace.name(id, name)
        return id

    def chance(self, p: float) -> bool:
        return self.rng.random() < p  # type: ignore[no-any-return]

    def open(self, capacity: int) -> None:
        """Put the catalogue; its events reach the other services in any order."""
        put = self.client.put
        put("villages", c.VillagePut(id="v1", name_zh="村", lat=30.2, lon=120.2))
        put("households", c.HouseholdPut(id="h1", village="v1"))
        put("stations", c.StationPut(id="st1", name_zh="站", lat=30.0, lon=120.0))
        for site, community in SITES.items():
            put("communities", c.CommunityPut(id=community, name_zh="里", lat=30.1, lon=120.1))
            put("sites", c.SitePut(id=site, name_zh="场", lat=30.0, lon=120.0, station="st1"))
            put("points", c.PointPut(id=f"p{community}", community=community, name_zh="点", closes_at="20:00"))
        for id, unit in ITEMS.items():
            put("items", c.ItemPut(id=id, name_zh=id, unit=unit, unit_g=500, unit_ml=100, cold=id == "tofu"))
            for channel in (Channel.APP, Channel.GROUP, Channel.STALL):
                price = {"item": id, "channel": channel, "price_fen": 300, "effective_from": hour(0)}
                put("prices", c.PricePut(id=f"{id}-{channel}", **price))
        for id, site in TERMINALS.items():
            put("terminals", c.TerminalPut(id=id, site=site))
        for id in COURIERS:
            put("couriers", c.CourierPut(id=id, station="st1", capacity_g=10**6, cold_ml=10**6))
        put("market-days", self._day(capacity))

    def _day(self, capacity: int) -> c.MarketDayPut:
        waves = [
            c.WaveTerms(
                id=id,
                station="st1",
                cutoff=hour(cutoff),
                slot_from=hour(begin),
                slot_until=hour(end),
                capacity=capacity,
            )
            for id, (cutoff, begin, end) in WAVES.items()
        ]
        sites = [c.SiteDay(site=site, communities=[community]) for site, community in SITES.items()]
        return c.MarketDayPut(id=DAY, date=DATE, opens_at=hour(OPENS), closes_at=hour(CLOSES), sites=sites, waves=waves)


def goods(item: str, amount: int) -> dict[str, Any]:
    """Return an item and amount as clients write them."""
    return {"item": item, "weight_g" if ITEMS[item] is Unit.GRAM else "quantity": amount}


def as_sent(body: dict[str, Any]) -> Any:
    """Return a request body as JSON delivers it: ids and times as text."""
    return orjson.loads(orjson.dumps(body))
