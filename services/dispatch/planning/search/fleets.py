"""Converts a routing problem to the kernel's fleet, and the fleet's days back to trips of couriers.

A courier with breaks becomes one vehicle for each part of its shift. The break is fixed at a time within its window,
which differs between couriers so that they do not all rest at once. Costs are thousandths of a fen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import Courier, RoutingProblem
from services.dispatch.planning.search.kernel.fleet import FAR, Array, Fleet, with_neighbours
from services.dispatch.planning.search.ruin_recreate import Days
from services.dispatch.planning.travel.arrays import arrays
from services.dispatch.planning.travel.matrix import Layout, layout

MOST_NEIGHBOURS, MOST_NEAREST = 80, 200
"""Orders beside which an order may be inserted (docs/experiments/planning.md#neighbours); orders considered when
strings are removed around one."""
MOST_TRIPS, MOST_SKIP_COST = 32, 2**61
"""Most trips of a vehicle; largest sum of all skip costs, so that totals fit 64 bits."""
REQUIRED_TIMES = 2
"""Skipping a required order costs so many times all that could be saved by it."""


@dataclass(frozen=True, slots=True)
class Shift:
    """A part of a courier's day between breaks, in seconds of the problem's clock."""

    courier: int  # its number
    start_s: int  # ready at the station
    end_s: int  # at `home` at the latest
    home: int  # place where the part ends


@dataclass(frozen=True, slots=True)
class Crew:
    """A fleet and the part of a shift that each of its vehicles is.

    `second_zero` is second 0 of the fleet on the problem's clock.
    """

    fleet: Fleet
    shifts: tuple[Shift, ...]
    second_zero: int

    def by_courier(self, days: Days) -> dict[int, list[list[int]]]:
        """Return the days of vehicles as trips of couriers, by the couriers' numbers."""
        trips: dict[int, list[list[int]]] = {}
        for v in sorted(days):
            trips.setdefault(self.shifts[v].courier, []).extend(days[v])
        return trips

    def by_vehicle(self, problem: RoutingProblem, plan: Plan) -> Days:
        """Return the trips of a plan as days of vehicles, each in the part of the shift in which it starts."""
        couriers = {courier.id: c for c, courier in enumerate(problem.couriers)}
        number = {order.id: n for n, order in enumerate(problem.orders, 1)}
        days: Days = {}
        for route in plan.routes:
            parts = [v for v, shift in enumerate(self.shifts) if shift.courier == couriers.get(route.courier)]
            for trip in route.trips:
                fits = [v for v in parts if self.shifts[v].start_s <= trip.start_s] or parts[:1]
                stops = [number[stop.order] for stop in trip.stops if stop.order in number]
                if stops and fits:
                    days.setdefault(fits[-1], []).append(stops)
        return days


def crew(problem: RoutingProblem, focus: str | None = None) -> Crew:
    """Return the problem's fleet, for a search around the order `focus` if that is given.

    The problem must have an order and a courier.
    """
    where = layout(problem)
    shifts = [shift for c in range(len(problem.couriers)) for shift in _shifts(problem, c, where.starts, where.ends)]
    couriers = [problem.couriers[shift.courier] for shift in shifts]
    second_zero = min(courier.from_s for courier in problem.couriers)
    kinds = sorted({_kind_of(courier) for courier in couriers})
    cost, time = _matrices(problem, where, kinds)
    kind = [kinds.index(_kind_of(courier)) for courier in couriers]
    approach = cost[kind, [where.starts[shift.courier] for shift in shifts], 0].tolist()
    once = [
        (courier.fen_fixed * 1000 + way) // max(1, len(courier.breaks))
        for courier, way in zip(couriers, approach, strict=True)
    ]
    group, able = _groups(problem, shifts, len(where.places))
    order, windows = _orders(problem, len(where.places), second_zero)
    fleet = Fleet(
        cost=cost,
        time=time,
        kind=to_int32(kind),
        group=to_int32(group),
        capacity=to_int32([(courier.capacity_g, courier.cold_ml) for courier in couriers]),
        shift_start=to_int32([shift.start_s - second_zero for shift in shifts]),
        shift_end=to_int32([shift.end_s - second_zero for shift in shifts]),
        home=to_int32([shift.home for shift in shifts]),
        fixed_cost=np.array(once, np.int64),
        wait_cost=np.array([round(courier.fen_per_hour / 3.6) for courier in couriers], np.int64),
        may_serve=able,
        demand=order,
        windows=windows,
        skip_cost=_skip_costs(problem, cost, once),
        alone_cost=least_alone(cost, [shift.home for shift in shifts]),
        load_s=problem.load_s,
        max_trips=_most_trips(problem, shifts),
        neighbours=order[: len(problem.orders) + 1],
        focus=1 + [order.id for order in problem.orders].index(focus) if focus else 0,
    )
    fleet = with_neighbours(fleet, MOST_NEIGHBOURS, MOST_NEAREST)
    return Crew(fleet, tuple(shifts), second_zero)


def part(fleet: Fleet, vehicles: Sequence[int], orders: Sequence[int]) -> Fleet:
    """Return the fleet of some vehicles and orders only: the i-th order given becomes its order i, couriers' own places
    stay behind the orders."""
    n, own = fleet.orders, np.array(vehicles)
    keep = np.array([0, *orders, *range(n + 1, len(fleet.demand))])
    cost = np.ascontiguousarray(fleet.cost[:, keep[:, None], keep])
    small = fleet._replace(
        focus=0,
        cost=cost,
        time=cost if fleet.time is fleet.cost else np.ascontiguousarray(fleet.time[:, keep[:, None], keep]),
        home=np.where(fleet.home[own] > n, fleet.home[own] - n + len(orders), 0).astype(np.int32),
        may_serve=np.ascontiguousarray(fleet.may_serve[:, keep]),
        neighbours=fleet.demand[keep[: len(orders) + 1]],
    )
    for name in ("kind", "group", "capacity", "shift_start", "shift_end", "fixed_cost", "wait_cost"):
        small = small._replace(**{name: getattr(fleet, name)[own]})
    for name in ("demand", "windows", "skip_cost", "alone_cost"):
        small = small._replace(**{name: getattr(fleet, name)[keep]})
    return with_neighbours(small, MOST_NEIGHBOURS, MOST_NEAREST)


def least_alone(cost: Array, homes: Sequence[int]) -> Array:
    """Return int64 [place]: the least cost that a trip with this order alone adds. As the last trip of a day it may
    spare the leg from the station to the courier's end place."""
    back = cost[:, :, 0].min(axis=0).astype(np.int64)
    for home in {*homes} - {0}:
        spared = (cost[:, :, home].astype(np.int64) - cost[:, :, 0]).max()
        back = np.minimum(back, cost[:, :, home].min(axis=0) - max(0, spared))
    return np.maximum(0, cost[:, 0, :].min(axis=0) + back)


def _matrices(problem: RoutingProblem, where: Layout, kinds: Sequence[tuple[str, int, int]]) -> tuple[Array, Array]:
    """Return cost and time of the legs of each kind: int32 [kind, place, place] both."""
    matrices = {profile: arrays(problem, where.places, profile) for profile in {profile for profile, _, _ in kinds}}
    work_s = _work_s(problem, len(where.places))
    cost = np.stack([_cost(*matrices[profile], work_s, km, hour) for profile, km, hour in kinds])
    return cost, np.stack([to_int32(matrices[profile][1]) for profile, _, _ in kinds])


def _kind_of(courier: Courier) -> tuple[str, int, int]:
    return courier.profile, courier.fen_per_km, courier.fen_per_hour


def to_int32(values: Array) -> Array:
    """Return the values as an int32 array, cut to -FAR..FAR."""
    return np.clip(np.asarray(values), -FAR, FAR).astype(np.int32)


def _cost(metres: Array, seconds: Array, work_s: Array, km: int, hour: int) -> Array:
    """Return the cost of each leg in thousandths of a fen, with that of the `work_s` seconds at its end.

    Metres count a little even where neither they nor hours are paid for, so that detours are never free.
    """
    by_way = metres * (km or int(not hour))
    return to_int32(by_way + (seconds + work_s) * (hour / 3.6) if hour else by_way)


def _work_s(problem: RoutingProblem, places: int) -> Array:
    """Return the seconds of work that belong to each leg: service at its end, loading where it leaves the station."""
    orders, work_s = slice(1, len(problem.orders) + 1), np.zeros((places, places))
    work_s[:, orders] = [order.service_s for order in problem.orders]
    work_s[0, orders] += problem.load_s
    return work_s


def _shifts(problem: RoutingProblem, c: int, starts: Sequence[int], ends: Sequence[int]) -> list[Shift]:
    courier = problem.couriers[c]
    approach = 0
    if starts[c]:
        places = layout(problem).places
        small = arrays(problem, places, courier.profile)[1]
        approach = int(small[starts[c], 0])
    made, start_s = [], courier.from_s
    for rest in courier.breaks:
        spare = max(0, rest.until_s - rest.length_s - max(rest.from_s, start_s))
        begins = max(rest.from_s, start_s) + spare * (c % 4) // 4
        made.append(Shift(c, start_s + approach, begins, 0))
        start_s = begins + rest.length_s
    return [*made, Shift(c, start_s + approach, courier.until_s, ends[c])]


def _groups(problem: RoutingProblem, shifts: Sequence[Shift], places: int) -> tuple[list[int], Array]:
    """Return the group of each shift, and bool [group, place]: the orders that each group may serve."""
    like = [
        replace(problem.couriers[shift.courier], id="", from_s=shift.start_s, until_s=shift.end_s, breaks=())
        for shift in shifts
    ]
    groups = list(dict.fromkeys(like))
    number = {courier: g for g, courier in enumerate(groups)}
    able = np.ones((len(groups), places), np.bool_)
    loads = np.array([(order.load_g, order.cold_ml) for order in problem.orders])
    requirements = {(order.skills, order.zone): order for order in problem.orders}
    number_of = {needed: n for n, needed in enumerate(requirements)}
    requirement_of = [number_of[order.skills, order.zone] for order in problem.orders]
    for g, courier in enumerate(groups):
        may = np.array([courier.may_serve(order) for order in requirements.values()])[requirement_of]
        light = (loads <= (courier.capacity_g, courier.cold_ml)).all(axis=1)
        able[g, 1 : len(problem.orders) + 1] = may & light
    return [number[courier] for courier in like], able


def _orders(problem: RoutingProblem, places: int, second_zero: int) -> tuple[Array, Array]:
    width = max([1, *(len(order.windows) for order in problem.orders)])
    table, windows, never = [], [], (FAR, -1)
    for order in problem.orders:
        limit = FAR if order.out_of_cold_s is None else order.out_of_cold_s
        table.append((order.load_g, order.cold_ml, order.service_s, max(0, order.release_s - second_zero), limit))
        meant = [(max(0, window.from_s - second_zero), window.until_s - second_zero) for window in order.windows]
        meant.sort()
        windows.append([*meant, *[never] * (width - len(meant))])
    rest = places - len(table) - 1  # couriers' homes
    table = [(0, 0, 0, 0, FAR), *table, *[(0, 0, 0, 0, FAR)] * rest]
    windows = [[never] * width, *windows, *[[never] * width] * rest]
    return to_int32(table), np.clip(np.array(windows), -1, FAR).astype(np.int32)


def _skip_costs(problem: RoutingProblem, cost: Array, once: Sequence[int]) -> Array:
    """Return int64 [place]: the cost of skipping each order.

    An optional one costs its prize. A required one costs more than all that could be saved by skipping it, and one of
    a higher priority more than all of lower priorities together, as far as 64 bits allow.
    """
    n = len(problem.orders)
    prizes = sum(order.prize_fen or 0 for order in problem.orders) * 1000
    round_trips = np.minimum(cost[0, 0, : n + 1].astype(np.int64) + cost[0, : n + 1, 0], FAR // 8)
    base = REQUIRED_TIMES * (int(round_trips.sum()) + prizes + max(once)) + 1000
    levels = sorted({order.priority for order in problem.orders if order.prize_fen is None})
    most = MOST_SKIP_COST / n / base
    step = min(n + 1.0, max(1.0, most) ** (1 / max(1, len(levels) - 1)))
    loss = np.zeros(cost.shape[1], np.int64)
    for place, order in enumerate(problem.orders, 1):
        required = int(base * step ** levels.index(order.priority)) if order.prize_fen is None else 0
        loss[place] = required or (order.prize_fen or 0) * 1000
    return loss


def _most_trips(problem: RoutingProblem, shifts: Sequence[Shift]) -> int:
    """Return the most trips of a vehicle: no more than fit into the longest shift when only loading takes time."""
    longest = max(shift.end_s - shift.start_s for shift in shifts)
    return max(1, min(MOST_TRIPS, len(problem.orders), longest // max(1, problem.load_s)))
