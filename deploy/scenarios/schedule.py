"""The schedule of a day for a seed: every order, sale, lot and loan, before the day runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum
from uuid import UUID

from contracts.values import pool_of
from deploy.scenarios import model
from deploy.scenarios.model import Channel, Scenario, Span, Way


class Fate(Enum):
    """Behaviour of the person behind an order, or at its door."""

    FETCHES = "takes it"
    CANCELS = "changes their mind"
    NEVER_PAYS = "never pays"
    PAYS_LATE = "pays after the hold ended"
    PAYS_TOO_LATE = "pays when the market is over"
    NOT_FETCHED = "never fetches it"
    MISSED_ONCE = "is out at the first try"
    REFUSES = "refuses it at the door"


@dataclass(frozen=True, slots=True)
class Line:
    """A quantity of a good: pieces or grams."""

    item: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Address:
    """The destination of a delivery, WGS-84."""

    text: str
    lat: float
    lon: float


@dataclass(frozen=True, slots=True)
class Order:
    """An order that is placed at minute `at`, and the minutes at which its buyer pays, cancels or fetches it, if ever.

    `burst`: the id of its livestream, if any.
    """

    id: UUID
    at: float
    channel: Channel
    community: str
    name: str
    phone: str
    lines: tuple[Line, ...]
    way: Way
    address: Address | None
    payment: str
    fate: Fate = Fate.FETCHES
    pays_at: float | None = None
    cancels_at: float | None = None
    fetches_at: float | None = None
    twice: bool = False
    asks_quote: bool = False
    burst: str = ""

    @property
    def in_list(self) -> bool:
        """True if a group leader sends it in a batch."""
        return self.channel == "group"


@dataclass(frozen=True, slots=True)
class Pledge:
    """A person who joins a group-buy at minute `at`, alone or on the leader's list, and may withdraw."""

    id: UUID
    at: float
    name: str
    phone: str
    payment: str
    in_list: bool
    fetches_at: float
    withdraws_at: float | None = None


@dataclass(frozen=True, slots=True)
class GroupBuy:
    """A group-buy: its terms, its pledges, and the line that each of them has."""

    id: UUID
    terms: model.GroupBuy
    line: Line
    pledges: tuple[Pledge, ...]


@dataclass(frozen=True, slots=True)
class Sale:
    """A stall customer who wants `lines`; the sale is voided at `voided_at`."""

    id: UUID
    at: float
    lines: tuple[Line, ...]
    voided_at: float | None = None


@dataclass(frozen=True, slots=True)
class Stall:
    """A stall's terminal: its allotments and its customers."""

    terminal: str
    site: str
    offline: Span | None
    lent: dict[str, int]
    sales: tuple[Sale, ...]


@dataclass(frozen=True, slots=True)
class Lot:
    """A household's lot brought in at minute `at`; inspection passes `passed` of `received`."""

    id: UUID
    at: float
    site: str
    item: str
    household: str
    received: int
    passed: int


@dataclass(frozen=True, slots=True)
class Household:
    """A supplying household by its code."""

    id: str
    village: str


@dataclass(frozen=True, slots=True)
class Courier:
    """A courier of a station, and the vehicle's capacity."""

    id: str
    station: str
    capacity_g: int
    cold_ml: int


@dataclass(frozen=True, slots=True)
class GroupBuyOutcome:
    """Result of a group-buy: joins at the cut, their pledges, the verdict, and the number of served joins.

    `short` joins get less than they pledged; quantities are in the good's unit.
    """

    joins: int
    pledged: int
    verdict: str
    served: int
    sold: int
    short: int


@dataclass(frozen=True, slots=True)
class ExpectedOutcome:
    """Result that follows from the counts, whatever the timing: orders by end state; units sold and refused by good.

    Quantities are in the good's unit; `refused` counts orders and stall customers that got nothing. `group_buys` are by
    their name in the scenario.
    """

    ends: Counter[str]
    sold: Counter[str]
    refused: Counter[str]
    group_buys: dict[str, GroupBuyOutcome] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Day:
    """The whole day, ready to run."""

    scenario: Scenario
    date: date
    seed: int
    households: tuple[Household, ...]
    couriers: tuple[Courier, ...]
    orders: tuple[Order, ...]
    group_buys: tuple[GroupBuy, ...]
    stalls: tuple[Stall, ...]
    lots: tuple[Lot, ...]

    @property
    def market_day(self) -> str:
        """The market day's id."""
        return self.date.isoformat()

    def at(self, minute: float) -> datetime:
        """Return the instant of a minute of this day."""
        return self.scenario.at(self.date, minute)

    def pool(self, site: str) -> str:
        """Return the stock pool of a site on this day."""
        return pool_of(self.market_day, site)
