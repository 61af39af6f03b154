"""Content of a scenario's files: places, goods, and the day with its counts. Times of day are local `HH:MM`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _minutes(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    at = dt.time.fromisoformat(value)
    return at.hour * 60.0 + at.minute


# A time of day as minutes since local midnight; written "HH:MM" in the files.
Minute = Annotated[float, BeforeValidator(_minutes), Field(ge=0, lt=24 * 60)]
Span = tuple[Minute, Minute]
Channel = Literal["app", "group", "live", "stall"]
Way = Literal["delivery", "pickup"]


class ScenarioError(Exception):
    """A scenario is invalid or cannot be run; the text names the part and the reason."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Place(_Part):
    """A named place, WGS-84, approximate at town level."""

    id: str
    name_zh: str
    name_en: str
    lat: float
    lon: float


class Community(Place):
    """A city community and its paired village."""

    paired_with: str | None = None


class Site(Place):
    """A market site, its communities, and the station of its deliveries."""

    station: str
    communities: list[str]


class Good(_Part):
    """A good. Quantities are pieces or grams; prices are fen per piece, or per 500 g if sold by weight."""

    id: str
    name_zh: str
    name_en: str
    unit: Literal["piece", "gram"]
    load_g: int
    load_ml: int = 0
    cold: bool = False
    origins: list[str] = Field(alias="from")
    usual: list[int]
    scarce: bool = False
    price: dict[Channel, int]

    def cost(self, channel: Channel, quantity: int) -> int:
        """Return the price of a quantity in fen, rounded half up once."""
        if self.unit == "piece":
            return self.price[channel] * quantity
        return (self.price[channel] * quantity * 2 + 500) // 1000


class Wave(_Part):
    """A delivery wave of every station: the minute at which its dispatcher cuts it, and the latest cutoff."""

    id: str
    slot: Span
    cut: Minute
    cutoff: Minute
    capacity: int


class OrderCounts(_Part):
    """Number of orders per channel, of goods that are not scarce."""

    app: int
    group: int
    stall: int
    lists_at: list[Minute]
    with_quote: int


class Behaviour(_Part):
    """Number of orders that end differently or are sent in an unusual way; an order has at most one of these."""

    cancel_delivery: int = 0
    cancel_pickup: int = 0
    never_pay: int = 0
    pay_in_time: int = 0
    pay_late: int = 0
    pay_too_late: int = 0
    not_fetched: int = 0
    missed_once: int = 0
    refused_at_door: int = 0
    sent_twice: int = 0


class Scarce(_Part):
    """A scarce good at a site, in units of its usual quantity: stalls and orders together want more than the stock."""

    item: str
    site: str
    fulfilment: Way
    stock: int
    orders: int
    terminals: list[str]
    lent_each: int
    wanted_each: int

    @property
    def for_orders(self) -> int:
        """Units left for orders after the stalls' allotments."""
        return self.stock - self.lent_each * len(self.terminals)


class Burst(_Part):
    """A livestream: `orders` buyers within one minute, one good each; `of_scarce` more want its scarce good.

    They live around `sites`, evenly distributed; `stock` is each site's stock of the scarce good, in its usual
    quantity.
    """

    id: str
    at: Minute
    fulfilment: Way
    sites: list[str]
    goods: list[str]
    orders: int
    scarce: str
    of_scarce: int
    stock: int

    def wanted_at(self, site: str) -> int:
        """Return the number of orders of the scarce good at a site."""
        return len(range(self.sites.index(site), self.of_scarce, len(self.sites)))


class Threshold(_Part):
    """Smallest pledge at which a group-buy forms: number of people, pieces, grams or fen."""

    of: Literal["people", "quantity", "weight", "amount"]
    at_least: int


class GroupBuy(_Part):
    """A community's group-buy of one good: everyone pledges `each` units of its usual quantity.

    `withdrawn` of the `joins` are withdrawn in time. `stock` is the site's stock of a scarce good, in units; without it
    there is enough for all.
    """

    id: str
    community: str
    item: str
    opens: Minute
    closes: Minute
    joins: int
    each: int
    withdrawn: int = 0
    threshold: Threshold
    shortfall: Literal["first-come", "at-least-one-each"] = "first-come"
    stock: int | None = None


class Stalls(_Part):
    """Behaviour of stalls: number of sales each, and how their terminals sync."""

    sales_each: int
    goods_each: int
    voids: int
    sync_every_min: float
    repeat_every: int


class SiteTerminals(_Part):
    """Terminals of a site, and the offline intervals of some of them."""

    site: str
    stalls: int
    offline: dict[int, Span] = {}


class Fleet(_Part):
    """Couriers with one kind of vehicle at a station."""

    kind: str
    station: str
    count: int
    capacity_g: int
    cold_ml: int


class CourierDays(_Part):
    """Number of rounds of every wave that are driven offline."""

    rounds_offline: int = 0


class Scenario(_Part):
    """A whole day as its files describe it."""

    name: str
    date: dt.date
    utc_offset: str
    clock_starts: Minute
    speed: float
    hold_ttl_s: int
    households_per_village: int
    first_lots: Minute
    opens: Minute
    closes: Minute
    last_order: Minute
    terminals_close: Minute
    leases_until: Minute
    points_close: Minute
    villages: list[Place]
    communities: list[Community]
    stations: list[Place]
    sites: list[Site]
    goods: list[Good]
    waves: list[Wave]
    orders: OrderCounts
    behaviour: Behaviour
    scarce: list[Scarce]
    bursts: list[Burst] = []
    group_buys: list[GroupBuy] = []
    stalls: Stalls
    terminals: list[SiteTerminals]
    couriers: list[Fleet]
    courier_days: CourierDays = CourierDays()

    def at(self, day: dt.date, minute: float) -> dt.datetime:
        """Return the instant of a minute since local midnight of `day`."""
        sign, hours, minutes = self.utc_offset[0], int(self.utc_offset[1:3]), int(self.utc_offset[4:])
        offset = dt.timedelta(hours=hours, minutes=minutes) * (-1 if sign == "-" else 1)
        return dt.datetime.combine(day, dt.time(), dt.timezone(offset)) + dt.timedelta(minutes=minute)

    def good(self, item: str) -> Good:
        """Return the good with that id. Raises KeyError if there is none."""
        return {good.id: good for good in self.goods}[item]

    def site_of(self, community: str) -> Site:
        """Return the site of a community. Raises StopIteration if there is none."""
        return next(site for site in self.sites if community in site.communities)

    def shortages(self) -> Iterator[tuple[str, str, int]]:
        """Yield site, good and units of each stock that is smaller than the demand."""
        yield from ((scarce.site, scarce.item, scarce.stock) for scarce in self.scarce)
        yield from ((site, burst.scarce, burst.stock) for burst in self.bursts for site in burst.sites)
        for buy in self.group_buys:
            if buy.stock is not None:
                yield self.site_of(buy.community).id, buy.item, buy.stock
