"""Conversion of rows into a routing problem: any row is converted, excluded with a reason, or named as unusable."""

from __future__ import annotations

import math
from datetime import datetime

import asyncpg
import orjson
from pydantic import ValidationError

from services.dispatch.planning.plan import Unserved
from services.dispatch.planning.problem import LAST, MOST, Courier, Order, Place, Window

NO_ADDRESS = "the delivery address is unknown or erased"


class Unusable(ValueError):
    """A catalogue entry that no plan can be made with. The text names the entry, the fault and the correction."""


def station_of(id: str, body: str | None) -> Place:
    """Return the position of a station from its catalogue body, which is JSON. Raises `Unusable`."""
    if body is None:
        raise Unusable(f"station {id} is not in dispatch's catalogue: put /v1/catalog/stations/{id}")
    entry = orjson.loads(body)
    try:
        return Place(entry.get("lat"), entry.get("lon"))
    except ValidationError:
        where = f"lat {entry.get('lat')}, lon {entry.get('lon')}"
        raise Unusable(
            f"station {id} has no usable position ({where}): put /v1/catalog/stations/{id} with lat within -90..90 and "
            "lon within -180..180"
        ) from None


def courier_of(row: asyncpg.Record) -> Courier:
    """Return the courier of a row. Capacities are capped at the largest that a problem can express; one that is not a
    number counts as 0."""
    loads = (_amount(row["capacity_g"]), _amount(row["cold_ml"]))
    return Courier(row["id"], *loads, _second(row["from_at"]), _second(row["until_at"]))


def order_of(row: asyncpg.Record) -> Order | Unserved:
    """Return the order of a job's row, or the reason why it cannot be part of a problem."""
    id = str(row["id"])
    if row["lat"] is None or row["lon"] is None or row["erased"]:
        return Unserved(id, NO_ADDRESS)
    try:
        place = Place(row["lat"], row["lon"])
    except ValidationError:
        return Unserved(id, "its address has a position that is not on the globe: order again with a corrected address")
    if max(row["load_g"], row["cold_ml"]) > MOST:
        return Unserved(id, overload(row["load_g"], row["cold_ml"]))
    if row["slot_from"] > row["slot_until"]:
        return Unserved(id, "its slot ends before it begins: correct the wave in the market day")
    slot = Window(_second(row["slot_from"]), _second(row["slot_until"]))
    return Order(id, place, max(0, row["load_g"]), max(0, row["cold_ml"]), (slot,))


def overload(load_g: int, cold_ml: int) -> str:
    """Return the reason for refusing a load that no problem can express."""
    return f"no vehicle can carry {load_g} g and {cold_ml} ml in the cold box: correct unit_g and unit_ml of its items"


def _amount(text: str | None) -> int:
    try:
        number = float(text or "0")
    except ValueError:
        return 0
    return 0 if math.isnan(number) else int(min(max(number, 0), MOST))


def _second(moment: datetime) -> int:
    return min(max(0, int(moment.timestamp())), LAST)
