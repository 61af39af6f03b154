"""The catalogue entries that dispatch has received, and the lookups that jobs need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from contracts.events.catalog import CatalogEvent, ItemPut, MarketDayPut, SitePut, StationPut
from contracts.events.orders import GoodsLine
from contracts.values import Unit
from services.dispatch.domain.job.job import Job

RECIPIENT = "recipient"
"""The entry of `Job.waits` of a job without its recipient's private record."""
E = TypeVar("E", bound=CatalogEvent)


@dataclass(frozen=True, slots=True)
class Catalog:
    """Entries by catalogue key (`item/tofu`), as far as their events have arrived."""

    entries: Mapping[str, CatalogEvent]

    def get(self, kind: type[E], id: str) -> E | None:
        """Return the entry of this kind, or None while it has not arrived."""
        found = self.entries.get(catalog_key(kind, id))
        return found if isinstance(found, kind) else None

    def site_of(self, market_day: str, community: str) -> str | None:
        """Return the site that serves a community on a market day; None where the day is unknown or no site does."""
        day = self.get(MarketDayPut, market_day)
        return next((served.site for served in day.sites if community in served.communities), None) if day else None

    def station_of(self, market_day: str, community: str) -> str | None:
        """Return the station that a community's deliveries start from on a market day; None while it is unknown."""
        site = self.get(SitePut, self.site_of(market_day, community) or "")
        return site.station if site else None

    def load_of(self, lines: Iterable[GoodsLine]) -> tuple[int, int]:
        """Return the load of the lines: grams, and millilitres of cold storage. Every item must be known."""
        grams = cold = 0
        for line in lines:
            item = self.entries[catalog_key(ItemPut, line.item)]
            assert isinstance(item, ItemPut)
            per = 1000 if item.unit is Unit.GRAM else 1
            grams += -(-line.quantity * item.unit_g // per)
            cold += -(-line.quantity * item.unit_ml // per) if item.cold else 0
        return grams, cold

    def missing(self, job: Job) -> tuple[str, ...]:
        """Return the catalogue keys that the job needs next and that have not arrived, sorted."""
        needed = {catalog_key(ItemPut, line.item) for line in job.lines} | {catalog_key(MarketDayPut, job.market_day)}
        if site := self.site_of(job.market_day, job.community):
            needed.add(catalog_key(SitePut, site))
        if station := self.station_of(job.market_day, job.community):
            needed.add(catalog_key(StationPut, station))
        return tuple(sorted(needed - self.entries.keys()))


def catalog_key(kind: type[CatalogEvent], id: str) -> str:
    """Return the catalogue key of an entity: `<kind>/<id>`."""
    return f"{kind.TYPE.split('.')[2].removesuffix('-put')}/{id}"
