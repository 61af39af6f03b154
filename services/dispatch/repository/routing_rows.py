"""Conversion of rows into a routing problem: any row is converted, excluded with a reason, or named as unusable."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from services.dispatch.domain.wave import Wave
from services.dispatch.planning.plan import Unserved
from services.dispatch.planning.problem import LAST, MOST, Courier, Order, Place, Window
from services.dispatch.repository.store import CrewMember, WaveJob

SHIFT_MARGIN = timedelta(hours=2)
"""The working time of a station's couriers when no shift is recorded: this long before the slot until this long after
it."""
NO_ADDRESS = "the delivery address is unknown or erased"


class Unusable(ValueError):
    """A catalogue entry that no plan can be made with. The text names the entry, the fault and the correction."""


def station_of(id: str, entry: Mapping[str, Any] | None) -> Place:
    """Return the position of a station from its catalogue entry. Raises `Unusable`."""
    if entry is None:
        raise Unusable(f"station {id} is not in dispatch's catalogue: put /v1/catalog/stations/{id}")
    try:
        return Place(entry.get("lat"), entry.get("lon"))  # type: ignore[arg-type]
    except ValidationError:
        where = f"lat {entry.get('lat')}, lon {entry.get('lon')}"
        raise Unusable(
            f"station {id} has no usable position ({where}): put /v1/catalog/stations/{id} with lat within -90..90 and "
            "lon within -180..180"
        ) from None


def courier_of(member: CrewMember, wave: Wave) -> Courier:
    """Return the courier of a wave. Capacities are capped at the largest that a problem can express; one that is not a
    number counts as 0."""
    loads = (_amount(member.capacity_g), _amount(member.cold_ml))
    begin, end = member.from_at or wave.slot_from - SHIFT_MARGIN, member.until_at or wave.slot_until + SHIFT_MARGIN
    return Courier(member.id, *loads, _second(begin), _second(end))


def order_of(job: WaveJob) -> Order | Unserved:
    """Return the order of a job, or the reason why it cannot be part of a problem."""
    id = str(job.id)
    if job.lat is None or job.lon is None or job.erased:
        return Unserved(id, NO_ADDRESS)
    try:
        place = Place(job.lat, job.lon)
    except ValidationError:
        return Unserved(id, "its address has a position that is not on the globe: order again with a corrected address")
    if max(job.load_g, job.cold_ml) > MOST:
        return Unserved(id, overload(job.load_g, job.cold_ml))
    if job.slot_from > job.slot_until:
        return Unserved(id, "its slot ends before it begins: correct the wave in the market day")
    slot = Window(_second(job.slot_from), _second(job.slot_until))
    return Order(id, place, max(0, job.load_g), max(0, job.cold_ml), (slot,))


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
