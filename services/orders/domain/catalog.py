"""The catalogue in memory, as orders are priced from it: items, prices, market days, sites, points."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta, timezone
from typing import Any

from contracts.events import catalog as o
from contracts.values import Channel, pool_of

LOCAL = timezone(timedelta(hours=8), "Asia/Shanghai")  # no daylight saving, so a fixed offset is exact

KINDS: dict[str, type[o.CatalogEvent]] = {
    "items": o.ItemPut,
    "prices": o.PricePut,
    "villages": o.VillagePut,
    "households": o.HouseholdPut,
    "communities": o.CommunityPut,
    "pairings": o.PairingPut,
    "market-days": o.MarketDayPut,
    "sites": o.SitePut,
    "stations": o.StationPut,
    "points": o.PointPut,
    "terminals": o.TerminalPut,
    "couriers": o.CourierPut,
}
"""The kinds of catalogue entities, by their name in the URL."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A stored entry that can't be read, and the reason. `body` is its content where that is an object."""

    kind: str
    id: str
    why: str
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The entry's path below `/v1/catalog`."""
        return f"{self.kind}/{self.id}"


@dataclass(frozen=True, slots=True)
class Catalog:
    """The catalogue at one version, indexed for pricing orders. Never changed, only replaced.

    `unreadable` are the entries that can't be read, by path: only requests that depend on one of them have to wait
    until it is put again. `barred` has the path of such a price by the (item, channel) that it may be the price of.
    `sold_out` are the (pool, item) that take no more orders until they are reopened.
    """

    version: int = 0
    items: Mapping[str, o.ItemPut] = field(default_factory=dict)
    communities: frozenset[str] = frozenset()
    market_days: Mapping[str, o.MarketDayPut] = field(default_factory=dict)
    points: Mapping[str, o.PointPut] = field(default_factory=dict)
    prices: Mapping[tuple[str, str], list[o.PricePut]] = field(default_factory=dict)
    sites: Mapping[tuple[str, str], str] = field(default_factory=dict)
    unreadable: Mapping[str, Unreadable] = field(default_factory=dict)
    barred: Mapping[tuple[str, str], str] = field(default_factory=dict)
    sold_out: frozenset[tuple[str, str]] = frozenset()

    def pool(self, market_day: str, community: str) -> str | None:
        """Return the stock pool that serves a community on a market day, or None where no site does."""
        site = self.sites.get((market_day, community))
        return pool_of(market_day, site) if site else None

    def slot_by(self, market_day: o.MarketDayPut) -> datetime:
        """Return the start of the last delivery slot of a market day; its closing time where it has no waves."""
        return max((wave.slot_from for wave in market_day.waves), default=market_day.closes_at)

    def closing(self, market_day: o.MarketDayPut, point: o.PointPut) -> datetime:
        """Return the closing time of a pickup point on a market day."""
        return datetime.combine(market_day.date, time.fromisoformat(point.closes_at), LOCAL)


def index(version: int, entities: Iterable[o.CatalogEvent], unreadable: Iterable[Unreadable] = ()) -> Catalog:
    """Return the catalogue of these entities, with the entries that could not be read."""
    by_path = {entry.path: entry for entry in unreadable}
    prices: dict[tuple[str, str], list[o.PricePut]] = defaultdict(list)
    by_type: dict[type, dict[str, o.CatalogEvent]] = defaultdict(dict)
    for entity in entities:
        by_type[type(entity)][entity.id] = entity
        if isinstance(entity, o.PricePut):
            prices[entity.item, entity.channel].append(entity)
    days = {k: v for k, v in by_type[o.MarketDayPut].items() if isinstance(v, o.MarketDayPut)}
    return Catalog(
        version=version,
        items={k: v for k, v in by_type[o.ItemPut].items() if isinstance(v, o.ItemPut)},
        communities=frozenset(by_type[o.CommunityPut]),
        market_days=days,
        points={k: v for k, v in by_type[o.PointPut].items() if isinstance(v, o.PointPut)},
        prices=dict(prices),
        sites={(d, c): s.site for d, day in days.items() for s in day.sites for c in s.communities},
        unreadable=by_path,
        barred={key: path for path, entry in by_path.items() if entry.kind == "prices" for key in _priced(entry)},
    )


def _priced(price: Unreadable) -> Iterator[tuple[str, str]]:
    """Yield the (item, channel) that an unreadable price may be for: all channels where it names no known one."""
    channel = price.body.get("channel")
    channels = [channel] if channel in set(Channel) - {Channel.UNKNOWN} else list(Channel)
    yield from ((str(price.body.get("item")), one) for one in channels)
