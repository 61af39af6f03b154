"""Makes a routing problem of rows. Whatever a row holds, it is expressed, set aside with a reason, or named."""

from __future__ import annotations

import math
from datetime import datetime

import asyncpg
import orjson
from pydantic import ValidationError

from services.dispatch.planning.plan import Unserved
from services.dispatch.planning.problem import LAST, MOST, Courier, Order, Place, Window


class Unusable(ValueError):
    """A catalogue entry that no plan can be made with. The text names it, says what is wrong and what to correct."""


def station_of(id: str, body: str | None) -> Place:
    """The position of a station by its catalogue body, as JSON. Raises `Unusable`."""
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
    """The courier of a row. Capacities are cut off at what a problem can say; what is no number carries nothing."""
    loads = (_amount(row["capacity_g"]), _amount(row["cold_ml"]))
    return Courier(row["id"], *loads, _second(row["from_at"]), _second(row["until_at"]))


def order_of(row: asyncpg.Record) -> Order | Unserved:
    """The order of a job's row; why it can't be part of a problem where that is so."""
    id = str(row["id"])
    if row["lat"] is None or row["lon"] is None or row["erased"]:
        return Unserved(id, "nobody knows where to deliver")
    try:
        place = Place(row["lat"], row["lon"])
    except ValidationError:
        return Unserved(id, "the position of its address is not on the globe: order again with a corrected address")
    if max(row["load_g"], row["cold_ml"]) > MOST:
        return Unserved(id, too_much(row["load_g"], row["cold_ml"]))
    if row["slot_from"] > row["slot_until"]:
        return Unserved(id, "its slot ends before it begins: correct the wave of the market day")
    slot = Window(_second(row["slot_from"]), _second(row["slot_until"]))
    return Order(id, place, max(0, row["load_g"]), max(0, row["cold_ml"]), (slot,))


def too_much(load_g: int, cold_ml: int) -> str:
    """Why a load that no problem can express is refused."""
    return f"no vehicle can carry {load_g} g and {cold_ml} ml in the cold: correct unit_g and unit_ml of its items"


def _amount(text: str | None) -> int:
    try:
        number = float(text or "0")
    except ValueError:
        return 0
    return 0 if math.isnan(number) else int(min(max(number, 0), MOST))


def _second(moment: datetime) -> int:
    return min(max(0, int(moment.timestamp())), LAST)
