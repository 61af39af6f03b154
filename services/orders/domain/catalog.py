"""The catalogue as the accept path sees it: what is sold where, when and for how much; and its references."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta, timezone

from contracts.events import catalog as o
from contracts.values import pool_of

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

_REFERENCES = {
    "item": "items",
    "village": "villages",
    "community": "communities",
    "site": "sites",
    "station": "stations",
}


@dataclass(frozen=True, slots=True)
class Catalog:
    """The catalogue at one version, indexed for the questions that an order asks. Never changed, only replaced."""

    version: int = 0
    items: Mapping[str, o.ItemPut] = field(default_factory=dict)
    communities: frozenset[str] = frozenset()
    market_days: Mapping[str, o.MarketDayPut] = field(default_factory=dict)
    points: Mapping[str, o.PointPut] = field(default_factory=dict)
    prices: Mapping[tuple[str, str], list[o.PricePut]] = field(default_factory=dict)
    sites: Mapping[tuple[str, str], str] = field(default_factory=dict)

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


def index(version: int, entities: Iterable[o.CatalogEvent]) -> Catalog:
    """The catalogue made of these entities."""
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
    )


def references(entity: o.CatalogEvent) -> Iterator[tuple[str, str, str]]:
    """What an entity names: JSON pointer, kind, id of each."""
    for name, kind in _REFERENCES.items():
        value = getattr(entity, name, None)
        if isinstance(value, str):
            yield f"/{name}", kind, value
    if isinstance(entity, o.MarketDayPut):
        for n, site in enumerate(entity.sites):
            yield f"/sites/{n}/site", "sites", site.site
            yield from ((f"/sites/{n}/communities/{m}", "communities", c) for m, c in enumerate(site.communities))
        yield from ((f"/waves/{n}/station", "stations", wave.station) for n, wave in enumerate(entity.waves))


def contradiction(entity: o.CatalogEvent) -> tuple[str, str] | None:
    """What makes an entity impossible in itself, as JSON pointer and sentence; None where nothing does."""
    if not isinstance(entity, o.MarketDayPut):
        return None
    if entity.closes_at <= entity.opens_at:
        return "/closes_at", "a market day closes after it opens"
    served = [community for site in entity.sites for community in site.communities]
    twice = next((c for c in served if served.count(c) > 1), None)
    return ("/sites", f"community {twice} belongs to two sites of one market day") if twice else None
