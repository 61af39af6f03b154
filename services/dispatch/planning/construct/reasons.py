"""Reasons for unserved orders: the binding constraint of each courier as text, and a change that allows the order.

Many couriers are checked for each of many orders, so constraints are found as numbers, and only those that are reported
become text.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import IntEnum
from functools import lru_cache

from services.dispatch.planning.plan import Obstacle, Unserved
from services.dispatch.planning.problem import NO_WAY, Courier, Order
from services.dispatch.planning.schedule import timing
from services.dispatch.planning.schedule.columns import FOREVER, Columns
from services.dispatch.planning.schedule.day import Day

LOCAL = timedelta(hours=8)  # China standard time; it has no daylight saving
CHECKED, NAMED = 100, 20  # couriers that are checked; couriers with a reason of their own in the answer


class Bar(IntEnum):
    """The constraint that stops an order at a courier; higher ones are nearer to serving it."""

    SKILL = 0
    ZONE = 1
    LOAD = 2
    COLD = 3
    ROAD = 4
    WINDOW = 5
    LIMIT = 6
    SHIFT = 7
    BREAK = 8
    TIME = 9
    BOX_FULL = 10
    FULL = 11
    LATE = 12


_Found = tuple[Bar, int]
"""The constraint, and the moment or the seconds to show with it."""


def explain(columns: Columns, days: list[Day], x: int) -> Unserved:
    """Explain that none of `days` can serve order `x`, with the reason of the courier who is nearest to serving it."""
    order = columns.orders[x]
    if not order.windows or all(window.from_s > window.until_s for window in order.windows):
        return Unserved(order.id, "it has no window in which it could be served", "give it a window")
    if not days:
        return Unserved(order.id, "no courier is on shift", "put a courier on shift")
    last = columns.last[x]
    found = [(columns.couriers[day.c], _bar(columns, day, order, x, last)) for day in days[:CHECKED]]
    nearest, bar = max(found, key=lambda one: one[1][0])
    reason, fix = _reason(nearest, order, last, bar), _fix(nearest, order, last, bar)
    if len(days) > 1 and all(_reason(courier, order, last, bar) == reason for courier, bar in found):
        return Unserved(order.id, f"every courier: {reason}", fix)
    named = found[:NAMED] if len(days) > 1 else ()
    names = tuple(Obstacle(courier.id, _reason(courier, order, last, bar)) for courier, bar in named)
    return Unserved(order.id, f"courier {nearest.id}: {reason}", fix, names)


def left_for_prize(order: Order, added_fen: int) -> Unserved:
    """Explain that an optional order costs more than its prize."""
    reason = f"serving it would add {added_fen} fen, its prize is {order.prize_fen}"
    return Unserved(order.id, reason, "a higher prize, or make it required")


@lru_cache(1 << 12)
def clock(moment: int) -> str:
    """Return the moment as HH:MM; with the date when it is an instant of the Unix epoch."""
    if moment < 10 * 86_400:
        return f"{moment // 3600:02}:{moment % 3600 // 60:02}"
    return f"{datetime.fromtimestamp(moment, UTC) + LOCAL:%m-%d %H:%M}"


def _bar(columns: Columns, day: Day, order: Order, x: int, last: int) -> _Found:
    courier, seconds = columns.couriers[day.c], day.matrix.seconds
    if order.skills and not set(order.skills) <= set(courier.skills):
        return Bar.SKILL, 0
    if courier.zones and order.zone and order.zone not in courier.zones:
        return Bar.ZONE, 0
    if order.load_g > courier.capacity_g:
        return Bar.LOAD, 0
    if order.cold_ml > courier.cold_ml:
        return Bar.COLD, 0
    way = seconds(0, x)
    if columns.problem.ways and max(way, seconds(x, 0)) >= NO_WAY:
        return Bar.ROAD, 0
    return _alone(columns, day, order, x, last, way) or _beside(day, order, x, last)


def _alone(columns: Columns, day: Day, order: Order, x: int, last: int, way: int) -> _Found | None:
    """Return the constraint that stops a courier without any other order, if there is one."""
    courier, on_way = columns.couriers[day.c], columns.problem.load_s + way
    there = max(day.ready, order.release_s) + on_way
    if there > last:
        return Bar.WINDOW, there
    if order.out_of_cold_s is not None and way > order.out_of_cold_s:
        return Bar.LIMIT, way
    after = order.service_s + day.matrix.seconds(x, day.end)
    back = columns.opening(x, there) + after
    if courier.until_s < back < FOREVER:
        return Bar.SHIFT, back
    for rest in courier.breaks[:1] if len(courier.breaks) == 1 else ():
        rested = max(courier.from_s, rest.from_s) + rest.length_s
        later = max(day.ready + rested - courier.from_s, order.release_s) + on_way
        before = rested <= rest.until_s and columns.opening(x, later) + after <= courier.until_s
        if before or back <= rest.until_s - rest.length_s:
            return None
    return (Bar.BREAK, 0) if courier.breaks and not timing.times(columns, day.c, [[x]]) else None


def _beside(day: Day, order: Order, x: int, last: int) -> _Found:
    """Return the constraint that stops it beside the courier's other orders, and its arrival after all of them."""
    arrival, (free_g, free_ml) = day.earliest_arrival(x), day.free_load(last)
    if free_ml < order.cold_ml:
        return Bar.BOX_FULL, arrival
    if free_g < order.load_g:
        return Bar.FULL, arrival
    return (Bar.LATE if arrival > last else Bar.TIME), arrival


def _reason(courier: Courier, order: Order, last: int, bar: _Found) -> str:
    stops, shows = bar
    match stops:
        case Bar.SKILL:
            return f"lacks {_lacking(courier, order)}"
        case Bar.ZONE:
            return f"does not go to zone {order.zone}"
        case Bar.LOAD:
            return f"carries {courier.capacity_g} g, it weighs {order.load_g} g"
        case Bar.COLD:
            return f"has {courier.cold_ml} ml of cold box, it needs {order.cold_ml} ml"
        case Bar.ROAD:
            return "no road leads there"
        case Bar.WINDOW:
            return f"could arrive at {clock(shows)} at the earliest, the window ends {clock(last)}"
        case Bar.LIMIT:
            minutes = f"{shows / 60:.0f} min out of the cold, {(order.out_of_cold_s or 0) / 60:.0f} allowed"
            return f"the way takes {minutes}"
        case Bar.SHIFT:
            return f"would be back at {clock(shows)}, the shift ends {clock(courier.until_s)}"
        case Bar.BREAK:
            return "a break is in the way"
        case Bar.TIME:
            return f"no time left for it until {clock(courier.until_s)}"
    late = f"could arrive at {clock(shows)}, the window ends {clock(last)}"
    if stops is Bar.LATE:
        return late
    full, size = ("cold box", f"{order.cold_ml} ml") if stops is Bar.BOX_FULL else ("vehicle", f"{order.load_g} g")
    why = f"{full} has no {size} left on any trip before {clock(last)}"
    return f"{why}; {late}" if shows > last else why


def _fix(courier: Courier, order: Order, last: int, bar: _Found) -> str:
    stops, shows = bar
    window = f"a window until {clock(shows)}"
    full = f"a second vehicle, or {window}" if shows > last else "a second vehicle"
    return {
        Bar.SKILL: f"a courier with {_lacking(courier, order)}",
        Bar.ZONE: f"a courier for zone {order.zone}",
        Bar.LOAD: "a larger vehicle, or split the order",
        Bar.COLD: "a larger cold box",
        Bar.ROAD: "another place of delivery",
        Bar.WINDOW: window,
        Bar.LIMIT: "a cold box, or a nearer station",
        Bar.SHIFT: f"a shift until {clock(shows)}",
        Bar.BREAK: "another time for the break",
        Bar.TIME: "a longer shift, or another courier",
        Bar.BOX_FULL: full,
        Bar.FULL: full,
        Bar.LATE: window,
    }[stops]


def _lacking(courier: Courier, order: Order) -> str:
    return ", ".join(sorted(set(order.skills) - set(courier.skills)))
