"""A routing problem in our words: one station, its couriers on shift, the orders of a wave.

Whole metres, seconds, grams and millilitres. Instants are whole seconds of one clock (we use the Unix epoch).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

_STRICT = ConfigDict(extra="forbid")
Amount = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True, config=_STRICT)
class Place:
    """A point on the globe, WGS-84 degrees."""

    lat: Annotated[float, Field(ge=-90, le=90)]
    lon: Annotated[float, Field(ge=-180, le=180)]


@dataclass(frozen=True, slots=True, config=_STRICT)
class Courier:
    """Who carries: the two loads of one trip, and the shift, within which the last trip is back at the station."""

    id: str
    capacity_g: Amount
    cold_ml: Amount
    from_s: int
    until_s: int


@dataclass(frozen=True, slots=True, config=_STRICT)
class Order:
    """What is carried: service may begin within the window and then takes `service_s`."""

    id: str
    place: Place
    load_g: Amount
    cold_ml: Amount
    from_s: int
    until_s: int
    service_s: Amount = 120


@dataclass(frozen=True, slots=True, config=_STRICT)
class Problem:
    """Carry the orders from the station; loading takes `load_s` before each trip. Ids are unique."""

    station: Place
    couriers: tuple[Courier, ...]
    orders: tuple[Order, ...]
    load_s: Amount = 300
