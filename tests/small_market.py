"""The catalogue of a small market, as the operator puts it: for the fault tests, the simulation and the benchmarks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from deploy.scenarios.actors.operators import Entry
from deploy.scenarios.actors.requests import Body

PLACE: Mapping[str, Any] = {"name_zh": "镇", "lat": 28.2, "lon": 112.9}
CHANNELS = ("app", "group", "live", "stall")
STATION, HOUSEHOLD = "depot", "h1"


@dataclass(frozen=True, kw_only=True)
class SmallMarket:
    """One market day. `sites` have one community each, `points` are by id with their community, `items` have the fields
    of their entry, `terminals` their site; all prices are the same and in effect since the day before.
    """

    day: str
    date: date
    opens_at: datetime
    closes_at: datetime
    prices_since: datetime
    price_fen: int
    sites: Mapping[str, str]
    points: Mapping[str, str]
    items: Mapping[str, Body]
    channels: Sequence[str] = CHANNELS
    points_close: str | None = None
    terminals: Mapping[str, str] = field(default_factory=dict)
    couriers: Sequence[str] = ()
    waves: Sequence[Body] = ()

    def entries(self) -> Iterator[Entry]:
        """Yield every entry, kind by kind; each refers only to entries of earlier kinds."""
        yield "stations", STATION, {**PLACE}
        yield "villages", "hill", {**PLACE}
        for community in self.sites.values():
            yield "communities", community, {**PLACE}
        for site in self.sites:
            yield "sites", site, {**PLACE, "station": STATION}
        yield "households", HOUSEHOLD, {"village": "hill"}
        for item, fields in self.items.items():
            yield "items", item, {"name_zh": item, **fields}
        price = {"price_fen": self.price_fen, "effective_from": self.prices_since.isoformat()}
        for item in self.items:
            for channel in self.channels:
                yield "prices", f"{item}-{channel}", {"item": item, "channel": channel, **price}
        closes = {"closes_at": self.points_close} if self.points_close else {}
        for point, community in self.points.items():
            yield "points", point, {"community": community, "name_zh": "点", **closes}
        for terminal, site in self.terminals.items():
            yield "terminals", terminal, {"site": site}
        for courier in self.couriers:
            yield "couriers", courier, {"station": STATION, "capacity_g": 1_000_000, "cold_ml": 1_000_000}
        yield "market-days", self.day, self._day()

    def _day(self) -> Body:
        return {
            "date": self.date.isoformat(),
            "opens_at": self.opens_at.isoformat(),
            "closes_at": self.closes_at.isoformat(),
            "sites": [{"site": site, "communities": [community]} for site, community in self.sites.items()],
            "waves": list(self.waves),
        }


def wave(id: str, cutoff: datetime, slot: tuple[datetime, datetime], capacity: int) -> Body:
    """Return a delivery wave of the market."""
    begin, end = slot
    times = {"cutoff": cutoff.isoformat(), "slot_from": begin.isoformat(), "slot_until": end.isoformat()}
    return {"id": id, "station": STATION, "capacity": capacity, **times}
