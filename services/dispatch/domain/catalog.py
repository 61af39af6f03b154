"""What dispatch keeps of the catalogue, and what a job lacks of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from contracts.events.catalog import CatalogEvent, ItemPut, MarketDayPut, SitePut, StationPut
from contracts.events.orders import GoodsLine
from contracts.values import Unit
from services.dispatch.domain.job import Job

RECIPIENT = "recipient"
E = TypeVar("E", bound=CatalogEvent)


@dataclass(frozen=True, slots=True)
class Catalog:
    """Entries by catalogue key (`item/tofu`), as far as their events have arrived."""

    entries: Mapping[str, CatalogEvent]

    def get(self, kind: type[E], id: str) -> E | None:
        """The entry of a kind, or None where it has not come yet."""
        found = self.entries.get(key_of(kind, id))
        return found if isinstance(found, kind) else None

    def site_of(self, market_day: str, community: str) -> str | None:
        """The site that serves a community on a market day; None where the day is unknown or none does."""
        day = self.get(MarketDayPut, market_day)
        return next((s.site for s in day.sites if community in s.communities), None) if day else None

    def station_of(self, market_day: str, community: str) -> str | None:
        """The station that a community's deliveries start from on a market day, as far as it is known."""
        site = self.get(SitePut, self.site_of(market_day, community) or "")
        return site.station if site else None

    def load_of(self, lines: Iterable[GoodsLine]) -> tuple[int, int]:
        """The load of the lines: grams, and millilitres of cold room. Every item must be known."""
        grams = cold = 0
        for line in lines:
            item = self.entries[key_of(ItemPut, line.item)]
            assert isinstance(item, ItemPut)
            per = 1000 if item.unit is Unit.GRAM else 1
            grams += -(-line.quantity * item.unit_g // per)
            cold += -(-line.quantity * item.unit_ml // per) if item.cold else 0
        return grams, cold

    def missing(self, job: Job) -> tuple[str, ...]:
        """The catalogue keys that the job needs next and that have not arrived."""
        needed = {key_of(ItemPut, line.item) for line in job.lines} | {key_of(MarketDayPut, job.market_day)}
        if site := self.site_of(job.market_day, job.community):
            needed.add(key_of(SitePut, site))
        if station := self.station_of(job.market_day, job.community):
            needed.add(key_of(StationPut, station))
        return tuple(sorted(needed - self.entries.keys()))


def key_of(kind: type[CatalogEvent], id: str) -> str:
    """The catalogue key of an entity: `<kind>/<id>`."""
    return f"{kind.TYPE.split('.')[2].removesuffix('-put')}/{id}"
