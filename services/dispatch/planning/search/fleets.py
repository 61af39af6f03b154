"""Lays problems out as the kernel's fleet, and its days as trips of couriers.

A courier with breaks is a vehicle for each part of its shift: the break is taken at a fixed time within its window, a
different one for each courier, so that not all rest at once. Costs are thousandths of a fen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import Courier, RoutingProblem
from services.dispatch.planning.search.kernel.fleet import FAR, Array, Fleet, bound
from services.dispatch.planning.search.ruin_recreate import Days
from services.dispatch.planning.travel.arrays import arrays
from services.dispatch.planning.travel.matrix import Layout, layout

NEAR, AROUND = 80, 200
"""Orders beside which an order may be put; orders that are looked at when a neighbourhood is ruined."""
MOST_TRIPS, MOST_LOSS = 32, 2**61
LEAST_LOSS_TIMES = 2


@dataclass(frozen=True, slots=True)
class Shift:
    """A part of a courier's day, seconds of the problem's clock: which courier, from when to when at the station."""

    courier: int
    opens: int
    shuts: int
    home: int


@dataclass(frozen=True, slots=True)
class Crew:
    """A fleet and whose its vehicles are. `zero` is second 0 of the fleet on the problem's clock."""

    fleet: Fleet
    shifts: tuple[Shift, ...]
    zero: int

    def by_courier(self, days: Days) -> dict[int, list[list[int]]]:
        """Days of vehicles as trips of couriers, by their numbers."""
        made: dict[int, list[list[int]]] = {}
        for v in sorted(days):
            made.setdefault(self.shifts[v].courier, []).extend(days[v])
        return made

    def by_vehicle(self, problem: RoutingProblem, plan: Plan) -> Days:
        """The trips of a plan as days of vehicles, each in the part of the shift where it begins."""
        couriers = {courier.id: c for c, courier in enumerate(problem.couriers)}
        number = {order.id: n for n, order in enumerate(problem.orders, 1)}
        days: Days = {}
        for route in plan.routes:
            parts = [v for v, shift in enumerate(self.shifts) if shift.courier == couriers.get(route.courier)]
            for trip in route.trips:
                fits = [v for v in parts if self.shifts[v].opens <= trip.start_s] or parts[:1]
                stops = [number[stop.order] for stop in trip.stops if stop.order in number]
                if stops and fits:
                    days.setdefault(fits[-1], []).append(stops)
        return days


def crew(problem: RoutingProblem, focus: str | None = None) -> Crew:
    """The problem's fleet, for a search around the order `focus` if one is given. There must be an order and a
    courier."""
    where = layout(problem)
    shifts = [shift for c in range(len(problem.couriers)) for shift in _shifts(problem, c, where.starts, where.ends)]
    couriers = [problem.couriers[shift.courier] for shift in shifts]
    zero = min(courier.from_s for courier in problem.couriers)
    kinds = sorted({_kind(courier) for courier in couriers})
    cost, time = _ways(problem, where, kinds)
    kind = [kinds.index(_kind(courier)) for courier in couriers]
    approach = cost[kind, [where.starts[shift.courier] for shift in shifts], 0].tolist()
    once = [
        (courier.fen_fixed * 1000 + way) // max(1, len(courier.breaks))
        for courier, way in zip(couriers, approach, strict=True)
    ]
    group, able = _groups(problem, shifts, len(where.places))
    order, windows = _orders(problem, len(where.places), zero)
    fleet = Fleet(
        cost=cost,
        time=time,
        kind=to_int32(kind),
        group=to_int32(group),
        room=to_int32([(courier.capacity_g, courier.cold_ml) for courier in couriers]),
        opens=to_int32([shift.opens - zero for shift in shifts]),
        shuts=to_int32([shift.shuts - zero for shift in shifts]),
        home=to_int32([shift.home for shift in shifts]),
        once=np.array(once, np.int64),
        wage=np.array([round(courier.fen_per_hour / 3.6) for courier in couriers], np.int64),
        able=able,
        order=order,
        windows=windows,
        absent=_losses(problem, cost, once),
        lone=least_alone(cost, [shift.home for shift in shifts]),
        load_s=problem.load_s,
        max_trips=_most_trips(problem, shifts),
        near=order[: len(problem.orders) + 1],
        focus=1 + [order.id for order in problem.orders].index(focus) if focus else 0,
    )
    fleet = bound(fleet, NEAR, AROUND)
    return Crew(fleet, tuple(shifts), zero)


def part(fleet: Fleet, vehicles: Sequence[int], orders: Sequence[int]) -> Fleet:
    """The fleet of some vehicles and orders only; the i-th order given is order i of it, homes stay behind them."""
    n, own = fleet.orders, np.array(vehicles)
    keep = np.array([0, *orders, *range(n + 1, len(fleet.order))])
    cost = np.ascontiguousarray(fleet.cost[:, keep[:, None], keep])
    small = fleet._replace(
        focus=0,
        cost=cost,
        time=cost if fleet.time is fleet.cost else np.ascontiguousarray(fleet.time[:, keep[:, None], keep]),
        home=np.where(fleet.home[own] > n, fleet.home[own] - n + len(orders), 0).astype(np.int32),
        able=np.ascontiguousarray(fleet.able[:, keep]),
        near=fleet.order[keep[: len(orders) + 1]],
    )
    for name in ("kind", "group", "room", "opens", "shuts", "once", "wage"):
        small = small._replace(**{name: getattr(fleet, name)[own]})
    for name in ("order", "windows", "absent", "lone"):
        small = small._replace(**{name: getattr(fleet, name)[keep]})
    return bound(small, NEAR, AROUND)


def least_alone(cost: Array, homes: Sequence[int]) -> Array:
    """Return int64 [place]: the least cost that a trip with this order alone adds. As the last trip of a day it may
    spare the leg from the station to the courier's end place."""
    back = cost[:, :, 0].min(axis=0).astype(np.int64)
    for home in {*homes} - {0}:
        spared = (cost[:, :, home].astype(np.int64) - cost[:, :, 0]).max()
        back = np.minimum(back, cost[:, :, home].min(axis=0) - max(0, spared))
    return np.maximum(0, cost[:, 0, :].min(axis=0) + back)


def _ways(problem: RoutingProblem, where: Layout, kinds: Sequence[tuple[str, int, int]]) -> tuple[Array, Array]:
    """Cost and time of each kind's ways."""
    ways = {profile: arrays(problem, where.places, profile) for profile in {profile for profile, _, _ in kinds}}
    busy = _busy(problem, len(where.places))
    cost = np.stack([_cost(*ways[profile], busy, km, hour) for profile, km, hour in kinds])
    return cost, np.stack([to_int32(ways[profile][1]) for profile, _, _ in kinds])


def _kind(courier: Courier) -> tuple[str, int, int]:
    return courier.profile, courier.fen_per_km, courier.fen_per_hour


def to_int32(values: Array) -> Array:
    """Return the values as an int32 array, cut to -FAR..FAR."""
    return np.clip(np.asarray(values), -FAR, FAR).astype(np.int32)


def _cost(metres: Array, seconds: Array, busy: Array, km: int, hour: int) -> Array:
    """Thousandths of a fen, with what `busy` seconds at the end of each way cost. What nobody pays for still counts
    a little."""
    by_way = metres * (km or int(not hour))
    return to_int32(by_way + (seconds + busy) * (hour / 3.6) if hour else by_way)


def _busy(problem: RoutingProblem, places: int) -> Array:
    """Seconds of work that come with each way: service where it ends, and loading before it leaves the station."""
    orders, busy = slice(1, len(problem.orders) + 1), np.zeros((places, places))
    busy[:, orders] = [order.service_s for order in problem.orders]
    busy[0, orders] += problem.load_s
    return busy


def _shifts(problem: RoutingProblem, c: int, starts: Sequence[int], ends: Sequence[int]) -> list[Shift]:
    courier = problem.couriers[c]
    approach = 0
    if starts[c]:
        places = layout(problem).places
        small = arrays(problem, places, courier.profile)[1]
        approach = int(small[starts[c], 0])
    made, opens = [], courier.from_s
    for rest in courier.breaks:
        spare = max(0, rest.until_s - rest.length_s - max(rest.from_s, opens))
        begins = max(rest.from_s, opens) + spare * (c % 4) // 4
        made.append(Shift(c, opens + approach, begins, 0))
        opens = begins + rest.length_s
    return [*made, Shift(c, opens + approach, courier.until_s, ends[c])]


def _groups(problem: RoutingProblem, shifts: Sequence[Shift], places: int) -> tuple[list[int], Array]:
    """The group of each shift, and which orders each group may serve."""
    like = [
        replace(problem.couriers[shift.courier], id="", from_s=shift.opens, until_s=shift.shuts, breaks=())
        for shift in shifts
    ]
    groups = list(dict.fromkeys(like))
    number = {courier: g for g, courier in enumerate(groups)}
    able = np.ones((len(groups), places), np.bool_)
    loads = np.array([(order.load_g, order.cold_ml) for order in problem.orders])
    asks = {(order.skills, order.zone): order for order in problem.orders}
    which = {ask: n for n, ask in enumerate(asks)}
    asked = [which[order.skills, order.zone] for order in problem.orders]
    for g, courier in enumerate(groups):
        may = np.array([courier.may_serve(order) for order in asks.values()])[asked]
        light = (loads <= (courier.capacity_g, courier.cold_ml)).all(axis=1)
        able[g, 1 : len(problem.orders) + 1] = may & light
    return [number[courier] for courier in like], able


def _orders(problem: RoutingProblem, places: int, zero: int) -> tuple[Array, Array]:
    width = max([1, *(len(order.windows) for order in problem.orders)])
    table, windows, never = [], [], (FAR, -1)
    for order in problem.orders:
        limit = FAR if order.out_of_cold_s is None else order.out_of_cold_s
        table.append((order.load_g, order.cold_ml, order.service_s, max(0, order.release_s - zero), limit))
        meant = [(max(0, window.from_s - zero), window.until_s - zero) for window in order.windows]
        meant.sort()
        windows.append([*meant, *[never] * (width - len(meant))])
    rest = places - len(table) - 1  # couriers' homes
    table = [(0, 0, 0, 0, FAR), *table, *[(0, 0, 0, 0, FAR)] * rest]
    windows = [[never] * width, *windows, *[[never] * width] * rest]
    return to_int32(table), np.clip(np.array(windows), -1, FAR).astype(np.int32)


def _losses(problem: RoutingProblem, cost: Array, once: Sequence[int]) -> Array:
    """What leaving an order out costs: its prize; for a required one more than all that could be saved by it, and
    for each priority more than all of lower ones together, as far as numbers reach."""
    n = len(problem.orders)
    prizes = sum(order.prize_fen or 0 for order in problem.orders) * 1000
    ways = np.minimum(cost[0, 0, : n + 1].astype(np.int64) + cost[0, : n + 1, 0], FAR // 8)
    base = LEAST_LOSS_TIMES * (int(ways.sum()) + prizes + max(once)) + 1000
    levels = sorted({order.priority for order in problem.orders if order.prize_fen is None})
    most = MOST_LOSS / n / base
    step = min(n + 1.0, max(1.0, most) ** (1 / max(1, len(levels) - 1)))
    loss = np.zeros(cost.shape[1], np.int64)
    for place, order in enumerate(problem.orders, 1):
        required = int(base * step ** levels.index(order.priority)) if order.prize_fen is None else 0
        loss[place] = required or (order.prize_fen or 0) * 1000
    return loss


def _most_trips(problem: RoutingProblem, shifts: Sequence[Shift]) -> int:
    """No more than fit a shift, loading each."""
    longest = max(shift.shuts - shift.opens for shift in shifts)
    return max(1, min(MOST_TRIPS, len(problem.orders), longest // max(1, problem.load_s)))
