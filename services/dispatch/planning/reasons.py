"""Why an order is left out: the binding constraint of each courier in words, and what would make it possible."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.dispatch.planning import timing
from services.dispatch.planning.model import FOREVER, Model
from services.dispatch.planning.plan import Obstacle, Unserved
from services.dispatch.planning.problem import NO_WAY, Courier, Order
from services.dispatch.planning.route import LOAD, Day

LOCAL = timedelta(hours=8)  # the villages' clock; it has no daylight saving
NAMED = 20  # couriers whose own reason is told; beyond, more words help nobody


def explain(model: Model, days: list[Day], x: int) -> Unserved:
    """Why none of `days` takes order `x`. The reason given is that of the courier who comes nearest to serving it."""
    order = model.orders[x]
    if not order.windows or all(window.from_s > window.until_s for window in order.windows):
        return Unserved(order.id, "it has no window in which it could be served", "give it a window")
    if not days:
        return Unserved(order.id, "no courier is on shift", "put a courier on shift")
    found = [(*_obstacle(model, day, x), model.couriers[day.c].id) for day in days]
    _, reason, mend, courier = max(found, key=lambda one: one[0])
    alike = len({reason for _, reason, _, _ in found}) == 1
    told = reason if alike and len(days) > 1 else f"courier {courier}: {reason}"
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


def _obstacle(model: Model, day: Day, x: int) -> tuple[int, str, str]:
    """How far the order gets with this courier (more is nearer), what stops it, and what would mend it."""
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
    return _alone(model, day.c, courier, order, x) or _beside(model, day, courier, order, x)


def _alone(model: Model, c: int, courier: Courier, order: Order, x: int) -> tuple[int, str, str] | None:
    """What would stop a courier that had nothing else to do."""
    if timing.times(model, c, [[x]]):
        return None
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
    return 8, "a break is in the way", "another time for the break"


def _beside(model: Model, day: Day, courier: Courier, order: Order, x: int) -> tuple[int, str, str]:
    """What stops it beside what the courier has to do already."""
    last = max(window.until_s for window in order.windows)
    grams, cold = max(day.room_g, default=0), max(day.room_ml, default=0)
    if day.trips and _timely(day, x) and (cold < order.cold_ml or grams < order.load_g):
        what = f"cold box has {cold} ml left" if cold < order.cold_ml else f"vehicle has {grams} g left"
        what, size = (what, f"{order.cold_ml} ml") if cold < order.cold_ml else (what, f"{order.load_g} g")
        soonest = _soonest(model, day, x)
        late = f"; a further trip could be there at {clock(soonest)}, the window ends {clock(last)}" * (soonest > last)
        return 10, f"on every trip that passes in time the {what} at most, it needs {size}{late}", "a second vehicle"
    soonest = _soonest(model, day, x)
    if soonest > last:
        why = f"could at {clock(soonest)}, the window ends {clock(last)}"
        return 11, why, f"a window until {clock(soonest)}"
    return 9, f"its day until {clock(courier.until_s)} has no time left for it", "a longer shift, or another courier"


def _timely(day: Day, x: int) -> bool:
    """Whether some trip could take it if loads didn't count."""
    rooms, day.room_g, day.room_ml = (day.room_g, day.room_ml), [FOREVER] * len(day.trips), [FOREVER] * len(day.trips)
    try:
        return any(day.walk[k - 1] >= LOAD and day.fits(x, k, alone=False) for k in range(1, len(day.walk)))
    finally:
        day.room_g, day.room_ml = rooms


def _soonest(model: Model, day: Day, x: int) -> int:
    """When it could be reached by a trip of its own after all others."""
    seconds, end = day.ways.seconds, len(day.walk) - 1
    ready = max(day.free[end - 1] + seconds(day.at[end - 1], 0), model.release[x]) + model.problem.load_s
    return ready + seconds(0, x)
