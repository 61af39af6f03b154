"""Rules for catalogue entries: references must exist, and an entry must not contradict itself."""

from __future__ import annotations

from collections.abc import Iterator
from math import asin, cos, radians, sin, sqrt

from contracts.events import catalog as o

FAR_KM = 500
"""The longest distance of a site from its station: half a day's delivery reaches no farther, so a longer one means a
wrong position.
"""
_EARTH_KM = 6371
_REFERENCES = {
    "item": "items",
    "village": "villages",
    "community": "communities",
    "site": "sites",
    "station": "stations",
}
Wrong = tuple[str, str]
"""A JSON pointer into the entry, and the message about it."""


def references(entity: o.CatalogEvent) -> Iterator[tuple[str, str, str]]:
    """Yield the references of an entity: JSON pointer, kind and id of each."""
    for name, kind in _REFERENCES.items():
        value = getattr(entity, name, None)
        if isinstance(value, str):
            yield f"/{name}", kind, value
    if isinstance(entity, o.MarketDayPut):
        for n, site in enumerate(entity.sites):
            yield f"/sites/{n}/site", "sites", site.site
            yield from ((f"/sites/{n}/communities/{m}", "communities", c) for m, c in enumerate(site.communities))
        yield from ((f"/waves/{n}/station", "stations", wave.station) for n, wave in enumerate(entity.waves))


def contradictions(entity: o.CatalogEvent) -> Iterator[Wrong]:
    """Yield every contradiction within an entity."""
    match entity:
        case o.MarketDayPut():
            if entity.closes_at <= entity.opens_at:
                yield "/closes_at", "must be later than opens_at"
            yield from _sites(entity)
            yield from _waves(entity)
        case o.PairingPut(effective_from=begin, effective_until=end) if end is not None and end <= begin:
            yield "/effective_until", "must be later than effective_from"


def _sites(day: o.MarketDayPut) -> Iterator[Wrong]:
    sites: set[str] = set()
    communities: set[str] = set()
    for n, site in enumerate(day.sites):
        if site.site in sites:
            yield f"/sites/{n}/site", f"site {site.site} appears twice; a market day has each site once"
        sites.add(site.site)
        for m, community in enumerate(site.communities):
            if community in communities:
                why = f"community {community} appears twice; on a market day a community belongs to one site"
                yield f"/sites/{n}/communities/{m}", why
            communities.add(community)


def _waves(day: o.MarketDayPut) -> Iterator[Wrong]:
    ids: set[str] = set()
    for n, wave in enumerate(day.waves):
        if wave.id in ids:
            yield f"/waves/{n}/id", f"wave {wave.id} appears twice; give each wave an id of its own"
        ids.add(wave.id)
        if wave.slot_until <= wave.slot_from:
            yield f"/waves/{n}/slot_until", "must be later than slot_from"
        if wave.cutoff > wave.slot_from:
            yield f"/waves/{n}/cutoff", "must not be later than slot_from: a wave is planned before its slot begins"


def too_far(site: o.SitePut, station: o.StationPut) -> str | None:
    """Return the message for two positions that cannot both be right, or None where they can."""
    km = _km(site.lat, site.lon, station.lat, station.lon)
    if km <= FAR_KM:
        return None
    return (
        f"site {site.id} ({site.lat}, {site.lon}) is {km:.0f} km from its station {station.id} "
        f"({station.lat}, {station.lon}), and at most {FAR_KM} km are possible: is a latitude swapped with a longitude?"
    )


def _km(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """Return the great-circle distance, by the haversine formula."""
    north, east = radians(other_lat - lat), radians(other_lon - lon)
    a = sin(north / 2) ** 2 + cos(radians(lat)) * cos(radians(other_lat)) * sin(east / 2) ** 2
    return 2 * _EARTH_KM * asin(min(1.0, sqrt(a)))
