"""The routing problem: one station, its couriers on shift, the orders of a wave.

Whole metres, seconds, grams, millilitres, fen. Instants are whole seconds of one clock (we use the Unix epoch) up to
the end of the year 2100.
`validation` checks what the types can't express, such as a window that ends before it begins.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, Strict
from pydantic.dataclasses import dataclass

from contracts.values import Latitude, Longitude

_STRICT = ConfigDict(extra="forbid")
MOST = 2**40
"""The largest amount in a problem."""
LAST = 4_133_980_799
"""The last instant in a problem: the end of the year 2100."""
Amount = Annotated[int, Strict(), Field(ge=0, le=MOST)]
Instant = Annotated[int, Strict(), Field(ge=0, le=LAST)]
Name = Annotated[str, Field(max_length=200)]
NO_WAY = 10**9
"""Metres or seconds of a leg without a road: longer than any shift and any tour."""


@dataclass(frozen=True, slots=True, config=_STRICT)
class Place:
    """A point on the globe, WGS-84 degrees."""

    lat: Annotated[Latitude, Strict()]
    lon: Annotated[Longitude, Strict()]


@dataclass(frozen=True, slots=True, config=_STRICT)
class Window:
    """A span from the first to the last second, both included."""

    from_s: Instant
    until_s: Instant


@dataclass(frozen=True, slots=True, config=_STRICT)
class Break:
    """A rest of `length_s` that lies within from_s..until_s. It is taken between trips at the station, before the
    courier leaves its start, or after its last trip."""

    from_s: Instant
    until_s: Instant
    length_s: Amount


@dataclass(frozen=True, slots=True, config=_STRICT)
class Courier:
    """A courier: the two loads of one trip, the shift, and the costs of using it.

    The day begins at `start` (the station when None) no sooner than `from_s`: from there to the station, then the
    trips. The last trip ends at `end` (the station when None) no later than `until_s`. A courier serves an order if
    it has all of its skills and, when it has zones at all, the order's zone is among them or the order has none.
    `profile` names the way it travels (see `matrix`). A courier without a trip costs nothing.
    """

    id: Name
    capacity_g: Amount
    cold_ml: Amount
    from_s: Instant
    until_s: Instant
    start: Place | None = None
    end: Place | None = None
    breaks: tuple[Break, ...] = ()
    skills: tuple[Name, ...] = ()
    zones: tuple[Name, ...] = ()
    profile: Name = "van"
    fen_per_km: Amount = 100
    fen_per_hour: Amount = 0
    fen_fixed: Amount = 0

    def may_serve(self, order: Order) -> bool:
        """Return whether skills and zones allow the order. Loads and times are not checked."""
        able = not order.skills or set(order.skills) <= set(self.skills)
        return able and (not self.zones or not order.zone or order.zone in self.zones)


@dataclass(frozen=True, slots=True, config=_STRICT)
class Order:
    """An order to deliver. Service begins within one of the windows (sorted, disjoint) and takes `service_s`.

    No trip with it begins loading before `release_s`, when the line-haul has brought it. With a limit
    `out_of_cold_s`, at most so much passes from the end of the trip's loading to the beginning of its service.
    `prize_fen` makes it optional: left out, the prize is lost. Without a prize it is required: left out only when it
    can't be served beside required orders of at least its priority (more is more urgent).
    """

    id: Name
    place: Place
    load_g: Amount
    cold_ml: Amount
    windows: tuple[Window, ...]
    service_s: Amount = 120
    release_s: Instant = 0
    out_of_cold_s: Amount | None = None
    skills: tuple[Name, ...] = ()
    zone: Name = ""
    priority: Annotated[int, Strict(), Field(ge=0, le=9)] = 0
    prize_fen: Amount | None = None


@dataclass(frozen=True, slots=True, config=_STRICT)
class TravelTimes:
    """Given metres and seconds for one profile, n x n, from each place of `matrix.layout` to each.

    `NO_WAY` means that there is no road. Profiles without given times are estimated.
    """

    profile: Name
    metres: list[list[Amount]]
    seconds: list[list[Amount]]


@dataclass(frozen=True, slots=True, config=_STRICT)
class RoutingProblem:
    """A problem: deliver the orders from the station, with `load_s` of loading before each trip. Ids are unique."""

    station: Place
    couriers: tuple[Courier, ...]
    orders: tuple[Order, ...]
    load_s: Amount = 300
    ways: tuple[TravelTimes, ...] = ()
