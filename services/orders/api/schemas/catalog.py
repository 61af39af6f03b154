"""The request and response models of catalogue entries: closed and bounded, one for each kind."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, Union

from pydantic import Field, Strict, create_model

from contracts.events.catalog import CatalogEvent
from contracts.values import Slug
from services.kit.http.body import Body
from services.kit.http.bounded import Date, Instant, Latitude, LocalTime, Longitude, Name, OptionalName, PriceFen
from services.kit.http.problems import unprocessable
from services.orders.domain.catalog import KINDS

Flag = Annotated[bool, Strict()]
LoadG = Annotated[int, Strict(), Field(ge=0, le=1_000_000, description="grams of one piece, or of 1 000 grams")]
LoadMl = Annotated[int, Strict(), Field(ge=0, le=1_000_000, description="millilitres of one piece, or of 1 000 grams")]
VehicleG = Annotated[int, Strict(), Field(ge=0, le=100_000_000, description="grams of one trip")]
VehicleMl = Annotated[int, Strict(), Field(ge=0, le=100_000_000, description="millilitres of cold room")]
Jobs = Annotated[int, Strict(), Field(ge=0, le=100_000, description="number of jobs that the wave takes")]


class EntryIn(Body):
    """An entry of the catalogue. `id` may be left out: it is the one in the URL."""

    id: Slug | None = None

    def entity(self, kind: str, id: str) -> CatalogEvent:
        """Return the entry as it is stored and published. Raises a 422 problem where the body has another id."""
        if self.id not in {None, id}:
            raise unprocessable("/id", f"must be {id}, the id in the URL, or be left out")
        return KINDS[kind].model_validate(self.model_dump() | {"id": id})


class Named(EntryIn):
    """Names in Chinese and, if there is one, in English."""

    name_zh: Name
    name_en: OptionalName = ""


class Placed(Named):
    """A named place, WGS-84."""

    lat: Latitude
    lon: Longitude


class ItemIn(Named):
    """An item, sold by the piece or by weight, and the load of one unit: of one piece, or of 1 000 grams."""

    unit: Literal["piece", "gram"]
    unit_g: LoadG
    unit_ml: LoadMl = 0
    cold: Flag = False


class PriceIn(EntryIn):
    """A price of an item on one channel from an instant on, in fen per piece or per 500 grams (a jin).

    An item is sold on a channel only where it has a price for that channel.
    """

    item: Slug
    channel: Literal["app", "group", "live", "stall"]
    price_fen: PriceFen
    effective_from: Instant


class VillageIn(Placed):
    """A village, at town level."""


class HouseholdIn(EntryIn):
    """A supplying household by its code in the village; no person's name."""

    village: Slug
    label: OptionalName = ""


class CommunityIn(Placed):
    """A city community."""


class PairingIn(EntryIn):
    """A village paired with a community for a period."""

    village: Slug
    community: Slug
    effective_from: Instant
    effective_until: Instant | None = None


class WaveIn(Body):
    """A wave of a market day: it takes jobs until `cutoff`, and delivers in its slot."""

    id: Slug
    station: Slug
    slot_from: Instant
    slot_until: Instant
    cutoff: Instant
    capacity: Jobs


class SiteDayIn(Body):
    """A site of a market day and the communities that it serves; together they make a stock pool."""

    site: Slug
    communities: Annotated[list[Slug], Field(max_length=1000)]


class MarketDayIn(EntryIn):
    """A market day with its sites and waves. Each site appears once, a community belongs to one site.

    `date` is the local date (UTC+8): pickup points close on it at their local time.
    """

    date: Date
    opens_at: Instant
    closes_at: Instant
    sites: Annotated[list[SiteDayIn], Field(max_length=200)]
    waves: Annotated[list[WaveIn], Field(max_length=500)] = []


class SiteIn(Placed):
    """A market site, and the station that its deliveries start from."""

    station: Slug


class StationIn(Placed):
    """A town station: where line-haul arrives and couriers load."""


class PointIn(EntryIn):
    """A pickup point of a community. Goods not collected by `closes_at`, local time (UTC+8), are returned."""

    community: Slug
    name_zh: Name
    closes_at: LocalTime = "20:00"


class TerminalIn(EntryIn):
    """A stall terminal: one device at a site."""

    site: Slug
    stall: OptionalName = ""


class CourierIn(EntryIn):
    """A courier of a station and what the vehicle carries."""

    station: Slug
    capacity_g: VehicleG
    cold_ml: VehicleMl = 0
    zones: Annotated[list[Slug], Field(max_length=100)] = []


BODIES: dict[str, type[EntryIn]] = {
    "stations": StationIn,
    "sites": SiteIn,
    "villages": VillageIn,
    "households": HouseholdIn,
    "communities": CommunityIn,
    "points": PointIn,
    "pairings": PairingIn,
    "items": ItemIn,
    "prices": PriceIn,
    "market-days": MarketDayIn,
    "terminals": TerminalIn,
    "couriers": CourierIn,
}
"""The request model of each kind, in an order in which a catalogue can be put."""


@cache
def view_of(kind: str) -> type[Any]:
    """Return the response model of a kind: its fields with its id and version."""
    base = BODIES[kind]
    name = base.__name__.removesuffix("In")
    fields: Any = {"id": (Slug, ...), "version": (Annotated[int, Field(ge=1)], ...)}
    return create_model(name, __base__=base, __doc__=base.__doc__, **fields)


@cache
def _listed(kind: str) -> type[Any]:
    base = BODIES[kind]
    fields: Any = {"id": (Slug, ...)}
    return create_model(f"{base.__name__.removesuffix('In')}Listed", __base__=base, __doc__=base.__doc__, **fields)


def any_view() -> Any:
    """Return the response model of an entry of any kind; an unreadable entry is any object."""
    return Union[(*map(view_of, BODIES), dict[str, Any])]


def page_view() -> Any:
    """Return the response model of a page of entries, in order of id; `next` is the cursor of the next page, null on
    the last.
    """
    entry: Any = Union[(*map(_listed, BODIES), dict[str, Any])]
    return create_model("EntryPage", items=(list[entry], ...), next=(Slug | None, ...))
