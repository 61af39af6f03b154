"""Why an order is left out: the binding constraint of each courier in words, and what would make it possible."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.dispatch.planning import timing
from services.dispatch.planning.model import FOREVER, Model
from services.dispatch.planning.plan import Obstacle, Unserved
from services.dispatch.planning.problem import NO_WAY, Courier, Order
from services.dispatch.planning.route import Day

LOCAL = timedelta(hours=8)  # the villages' clock; it has no daylight saving
ASKED, NAMED = 100, 20  # couriers that are asked, and whose own reason is told; more words help nobody
_Found = tuple[int, str, str]  # how far the order gets (more is nearer), what stops it, what would mend it


def explain(model: Model, days: list[Day], x: int) -> Unserved:
    """Why none of `days` takes order `x`. The reason given is that of the courier who comes nearest to serving it."""
    order = model.orders[x]
    if not order.windows or all(window.from_s > window.until_s for window in order.windows):
        return Unserved(order.id, "it has no window in which it could be served", "give it a window")
    if not days:
        return Unserved(order.id, "no courier is on shift", "put a courier on shift")
    alone: dict[Courier, _Found | None] = {}
    found = [(*_obstacle(model, day, x, alone), model.couriers[day.c].id) for day in days[:ASKED]]
    _, reason, mend, courier = max(found, key=lambda one: one[0])
    alike = len({reason for _, reason, _, _ in found}) == 1
    told = f"every courier: {reason}" if alike and len(days) > 1 else f"courier {courier}: {reason}"
    names = () if alike else tuple(Obstacle(courier, reason) for _, reason, _, courier in found[:NAMED])
    return Unserved(order.id, told, mend, names)


def left_for_prize(order: Order, added_fen: int) -> Unserved:
    """An optional order that costs more than it brings."""
    reason = f"serving it would cost {added_fen} fen more, its prize is {order.prize_fen}"
    return Unserved(order.id, reason, "a higher prize, or make it required")


def clock(moment: int) -> str:
    """The moment as people say it: HH:MM; with the date when it is an instant of the Unix epoch."""
    if moment < 10 * 86_400:
        return f"{moment // 3600:02}:{moment % 3600 // 60:02}"
    return f"{datetime.fromtimestamp(moment, UTC) + LOCAL:%m-%d %H:%M}"


def _obstacle(model: Model, day: Day, x: int, alone: dict[Courier, _Found | None]) -> _Found:
    order, courier = model.orders[x], model.couriers[day.c]
    if lacking := sorted(set(order.skills) - set(courier.skills)):
        return 0, f"lacks {', '.join(lacking)}", f"a courier with {', '.join(lacking)}"
    if courier.zones and order.zone and order.zone not in courier.zones:
        return 1, f"does not go to zone {order.zone}", f"a courier for zone {order.zone}"
    if order.load_g > courier.capacity_g:
        return 2, f"carries {courier.capacity_g} g, it weighs {order.load_g} g", "a larger vehicle, or split the order"
    if order.cold_ml > courier.cold_ml:
        return 3, f"has {courier.cold_ml} ml of cold box, it needs {order.cold_ml} ml", "a larger cold box"
    if max(day.ways.seconds(0, x), day.ways.seconds(x, 0)) >= NO_WAY:
        return 4, "no road leads there", "another place of delivery"
    if day.kind not in alone:
        alone[day.kind] = _alone(model, day.c, courier, order, x)
    return alone[day.kind] or _beside(model, day, courier, order, x)


def _alone(model: Model, c: int, courier: Courier, order: Order, x: int) -> _Found | None:
    """What would stop a courier that had nothing else to do."""
    seconds = model.ways[c].seconds
    ready = max(courier.from_s + seconds(model.starts[c], 0), order.release_s) + model.problem.load_s
    there, last = ready + seconds(0, x), max(window.until_s for window in order.windows)
    if there > last:
        why = f"could be there at {clock(there)} at the soonest, the window ends {clock(last)}"
        return 5, why, f"a window until {clock(there)}"
    if order.out_of_cold_s is not None and seconds(0, x) > order.out_of_cold_s:
        minutes = f"{seconds(0, x) / 60:.0f} min out of the cold, {order.out_of_cold_s / 60:.0f} allowed"
        return 6, f"the way takes {minutes}", "a cold box, or a nearer station"
    back = model.opening(x, there)
    if back < FOREVER:
        back += order.service_s + seconds(x, model.ends[c])
        if back > courier.until_s:
            why = f"would be back at {clock(back)}, the shift ends {clock(courier.until_s)}"
            return 7, why, f"a shift until {clock(back)}"
    rests = courier.breaks
    before = len(rests) == 1 and back <= rests[0].until_s - rests[0].length_s
    if rests and not before and not timing.times(model, c, [[x]]):
        return 8, "a break is in the way", "another time for the break"
    return None


def _beside(model: Model, day: Day, courier: Courier, order: Order, x: int) -> _Found:
    """What stops it beside what the courier has to do already."""
    last = max(window.until_s for window in order.windows)
    soonest = _soonest(model, day, x)
    late = f"could at {clock(soonest)}, the window ends {clock(last)}"
    trips = [n for n, load in enumerate(day.loads) if day.begin[load] <= last]
    if trips and all(day.room_ml[n] < order.cold_ml for n in trips):
        full, size = "cold box", f"{order.cold_ml} ml"
    elif trips and all(day.room_g[n] < order.load_g for n in trips):
        full, size = "vehicle", f"{order.load_g} g"
    elif soonest > last:
        return 11, late, f"a window until {clock(soonest)}"
    else:
        return 9, f"no time left for it until {clock(courier.until_s)}", "a longer shift, or another courier"
    why = f"{full} has no {size} left on any trip before {clock(last)}"
    mend = "a second vehicle" + (f", or a window until {clock(soonest)}" if soonest > last else "")
    return 10, f"{why}; {late}" if soonest > last else why, mend


def _soonest(model: Model, day: Day, x: int) -> int:
    """When it could be reached by a trip of its own after all others."""
    seconds, end = day.ways.seconds, len(day.walk) - 1
    ready = max(day.free[end - 1] + seconds(day.at[end - 1], 0), model.release[x]) + model.problem.load_s
    return ready + seconds(0, x)
