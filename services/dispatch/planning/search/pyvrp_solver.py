"""Adapter to PyVRP: converts a fleet to its model of trips with reloads and releases, and its routes to days.

Rules without a field of their own are expressed by others: loading at the station is added to the legs out of it, an
order with several windows is a group of clients of which one is served, zones and skills are legs that don't exist.
PyVRP has no cold limits; the caller, which computes the times, drops trips that break one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pyvrp import Client, ClientGroup, Depot, Location, ProblemData, Route, Solution, VehicleType, solve

from services.dispatch.planning.search.kernel.fleet import COLD, FAR, LOAD, RELEASE, SERVICE, Array, Fleet
from services.dispatch.planning.search.ruin_recreate import Days

MOST_PRIZE = 10**10
"""Prize of a required order. It is optional for PyVRP, which finds no solution when a required one can't be served."""
Done = Callable[[], bool]


def search(fleet: Fleet, seed: int, done: Done, days: Days | None = None, from_scratch: bool = False) -> Days:
    """Return the best days that PyVRP finds until `done()`, called between its steps (up to 0.6 s at 1 000 orders).

    It starts from `days`, which need a `plain` fleet. `from_scratch`: it uses them only to see whether all orders can
    be served.
    """
    orders = [order for order in range(1, fleet.orders + 1) for _ in _windows(fleet, order)]
    members = [np.flatnonzero(fleet.group == group).tolist() for group in sorted(set(fleet.group.tolist()))]
    served = sum(len(trip) for trips in (days or {}).values() for trip in trips)
    data = problem(fleet, [v[0] for v in members], required=served == fleet.orders)
    first = None
    if days and not from_scratch:
        kinds = {v: kind for kind, alike in enumerate(members) for v in alike}
        given = [Route(data, [order - 1 for order in trips[0]], kinds[v]) for v, trips in days.items()]
        first = Solution(data, given)
    best = solve(data, lambda _: done(), seed, collect_stats=False, initial_solution=first).best
    days = {}
    for route in best.routes():
        vehicle = members[route.vehicle_type()].pop(0)
        if route.is_feasible():
            days[vehicle] = [trip for trip in _trips(route, orders) if trip]
    return days


def plain(fleet: Fleet) -> bool:
    """Return whether PyVRP has all of the fleet's rules: one trip a day, one window for each order, no cold limits."""
    return fleet.max_trips == 1 and fleet.windows.shape[1] == 1 and bool((fleet.demand[:, COLD] >= FAR).all())


def problem(fleet: Fleet, kinds: list[int], required: bool = False) -> ProblemData:
    """Return the fleet as PyVRP's data, with one vehicle type for each of the vehicles `kinds`.

    Locations are the station, couriers' own places, then orders. `required`: all orders can be served, so PyVRP need
    not try to skip any.
    """
    homes = sorted({0, *fleet.home.tolist()})
    places = np.array([*homes, *range(1, fleet.orders + 1)])
    clients: list[Client] = []
    groups: list[ClientGroup] = []
    for order in range(1, fleet.orders + 1):
        windows, group = _windows(fleet, order), None
        if len(windows) > 1:
            group = len(groups)
            groups.append(ClientGroup([len(clients) + n for n in range(len(windows))], required=False))
        row, place = fleet.demand[order].tolist(), len(homes) + order - 1
        clients.extend(
            Client(
                place, row[LOAD : LOAD + 2], [], row[SERVICE], early, late, row[RELEASE],
                0 if required else min(int(fleet.skip_cost[order]), MOST_PRIZE), required, group,
            )
            for early, late in windows
        )  # fmt: skip
    matrices = [_matrices(fleet, v, places, len(homes)) for v in kinds]
    types = [_type(fleet, v, n, homes) for n, v in enumerate(kinds)]
    depots = [Depot(n) for n in range(len(homes))]
    costs, times = [cost for cost, _ in matrices], [time for _, time in matrices]
    return ProblemData([Location(0, 0)] * len(places), clients, depots, types, costs, times, groups)


def _windows(fleet: Fleet, order: int) -> list[tuple[int, int]]:
    return [(early, late) for early, late in fleet.windows[order].tolist() if early <= late]


def _type(fleet: Fleet, v: int, profile: int, homes: list[int]) -> VehicleType:
    return VehicleType(
        int((fleet.group == fleet.group[v]).sum()),
        fleet.capacity[v].tolist(),
        0,
        homes.index(int(fleet.home[v])),
        int(fleet.fixed_cost[v]),
        int(fleet.shift_start[v]),
        max(int(fleet.shift_start[v]), int(fleet.shift_end[v])),
        profile=profile,
        reload_depots=[0] if fleet.max_trips > 1 else [],
        max_reloads=fleet.max_trips - 1,
    )


def _matrices(fleet: Fleet, v: int, places: Array, homes: int) -> tuple[Array, Array]:
    cost = fleet.cost[fleet.kind[v]][places[:, None], places].astype(np.int64)
    time = fleet.time[fleet.kind[v]][places[:, None], places].astype(np.int64)
    time[0, :] += fleet.load_s
    closed = homes + np.flatnonzero(~fleet.may_serve[fleet.group[v], 1 : fleet.orders + 1])
    for matrix in (cost, time):
        matrix[closed, :] = matrix[:, closed] = FAR
        np.fill_diagonal(matrix, 0)
    return cost, time


def _trips(route: Route, orders: list[int]) -> list[list[int]]:
    trips: list[list[int]] = [[]]
    for activity in route:
        if activity.is_depot():
            trips.append([])
        else:
            trips[-1].append(orders[activity.idx])
    return trips
