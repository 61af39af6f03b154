"""Events of the catalogue, published by orders: goods, prices, places, market days. Each has an entity's full state."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, Field

from contracts.envelope import Event
from contracts.values import Channel, Fen, Instant, Latitude, LocalTime, Longitude, OperatorText, Slug, Unit


class CatalogEvent(Event, topic="orders.catalog.v1"):
    """Full state of one catalogue entity. The topic is compacted: the last record of a key is the current state."""

    id: Slug

    @property
    def key(self) -> str:
        kind = self.TYPE.split(".")[2].removesuffix("-put")
        return f"{kind}/{self.id}"


class ItemPut(CatalogEvent):
    """A good. `unit_g` and `unit_ml` are the load of one unit of quantity (1 piece, or 1 000 grams)."""

    name_zh: OperatorText
    name_en: OperatorText = ""
    unit: Unit
    unit_g: int = Field(ge=0)
    unit_ml: int = Field(default=0, ge=0)
    cold: bool = False


class PricePut(CatalogEvent):
    """A price of an item on a channel from an instant on: fen per piece, or per 500 grams (a jin)."""

    item: Slug
    channel: Channel
    price_fen: Fen = Field(ge=0)
    effective_from: Instant


class VillagePut(CatalogEvent):
    """A village, WGS-84 at town level."""

    name_zh: OperatorText
    name_en: OperatorText = ""
    lat: Latitude
    lon: Longitude


class HouseholdPut(CatalogEvent):
    """A supplying household by its code in the village; no person's name."""

    village: Slug
    label: OperatorText = ""


class CommunityPut(CatalogEvent):
    """A city community, WGS-84."""

    name_zh: OperatorText
    name_en: OperatorText = ""
    lat: Latitude
    lon: Longitude


class PairingPut(CatalogEvent):
    """A village paired with a community for a period."""

    village: Slug
    community: Slug
    effective_from: Instant
    effective_until: Instant | None = None


class WaveTerms(BaseModel):
    """A wave of a market day: its station, its slot, its cutoff and its capacity in jobs."""

    id: Slug
    station: Slug
    slot_from: Instant
    slot_until: Instant
    cutoff: Instant
    capacity: int = Field(ge=0)


class SiteDay(BaseModel):
    """A site of a market day and the communities that it serves that day; together they make a stock pool."""

    site: Slug
    communities: list[Slug]


class MarketDayPut(CatalogEvent):
    """A market day with its sites and waves. A community belongs to one site of a market day."""

    date: date
    opens_at: Instant
    closes_at: Instant
    sites: list[SiteDay]
    waves: list[WaveTerms] = []


class SitePut(CatalogEvent):
    """A market site, WGS-84, and the station that its deliveries start from."""

    name_zh: OperatorText
    name_en: OperatorText = ""
    lat: Latitude
    lon: Longitude
    station: Slug


class StationPut(CatalogEvent):
    """A town station: where line-haul arrives and couriers load. WGS-84."""

    name_zh: OperatorText
    name_en: OperatorText = ""
    lat: Latitude
    lon: Longitude


class PointPut(CatalogEvent):
    """A pickup point of a community; goods not collected by `closes_at` go back."""

    community: Slug
    name_zh: OperatorText
    closes_at: LocalTime = "20:00"


class TerminalPut(CatalogEvent):
    """A stall terminal: one device at a site."""

    site: Slug
    stall: OperatorText = ""


class CourierPut(CatalogEvent):
    """A courier of a station, with the vehicle's capacity."""

    station: Slug
    capacity_g: int = Field(ge=0)
    cold_ml: int = Field(default=0, ge=0)
    zones: list[Slug] = []
