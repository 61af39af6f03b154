"""The catalogue as the accept path sees it: what is sold where, when and for how much."""

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
    """A stored entry that can't be read, and why. `body` is what it says, as far as that is an object."""

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
    """The catalogue at one version, indexed for the questions that an order asks. Never changed, only replaced.

    `unreadable` are the entries that can't be read, by path: what depends on one of them has to wait until it is put
    again, and nothing else. `barred` names such a price by the item and channel that it may be the price of.
    `sold_out` are the items, by (pool, item), of which nothing more is promised until they are reopened.
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
        """The stock pool that serves a community on a market day, or None where no site does."""
        site = self.sites.get((market_day, community))
        return pool_of(market_day, site) if site else None

    def slot_by(self, market_day: o.MarketDayPut) -> datetime:
        """The start of the last delivery slot of a market day; its closing where it has no waves."""
        return max((wave.slot_from for wave in market_day.waves), default=market_day.closes_at)

    def closing(self, market_day: o.MarketDayPut, point: o.PointPut) -> datetime:
        """When a pickup point closes on a market day."""
        return datetime.combine(market_day.date, time.fromisoformat(point.closes_at), LOCAL)


def index(version: int, entities: Iterable[o.CatalogEvent], unreadable: Iterable[Unreadable] = ()) -> Catalog:
    """The catalogue made of these entities, and what could not be read of it."""
    broken = {entry.path: entry for entry in unreadable}
    prices: dict[tuple[str, str], list[o.PricePut]] = defaultdict(list)
    found: dict[type, dict[str, o.CatalogEvent]] = defaultdict(dict)
    for entity in entities:
        found[type(entity)][entity.id] = entity
        if isinstance(entity, o.PricePut):
            prices[entity.item, entity.channel].append(entity)
    days = {k: v for k, v in found[o.MarketDayPut].items() if isinstance(v, o.MarketDayPut)}
    return Catalog(
        version=version,
        items={k: v for k, v in found[o.ItemPut].items() if isinstance(v, o.ItemPut)},
        communities=frozenset(found[o.CommunityPut]),
        market_days=days,
        points={k: v for k, v in found[o.PointPut].items() if isinstance(v, o.PointPut)},
        prices=dict(prices),
        sites={(d, c): s.site for d, day in days.items() for s in day.sites for c in s.communities},
        unreadable=broken,
        barred={key: path for path, entry in broken.items() if entry.kind == "prices" for key in _priced(entry)},
    )


def _priced(price: Unreadable) -> Iterator[tuple[str, str]]:
    """What an unreadable price may be the price of: an item on its channel, on all where it names none."""
    channel = price.body.get("channel")
    known = [channel] if channel in set(Channel) - {Channel.UNKNOWN} else list(Channel)
    yield from ((str(price.body.get("item")), one) for one in known)
