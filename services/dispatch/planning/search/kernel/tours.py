"""A solution: trips as linked lists of orders, each vehicle's trips in driving order, and the times that follow.

The package's docstring draws the arrays.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from services.dispatch.planning.search.kernel.fleet import COLD, FAR, LOAD, RELEASE, SERVICE, Array, Fleet, Int, int64
from services.dispatch.planning.search.kernel.jit import inline, njit

WIDTH = 16
"""Columns of a row: with 32 bits each, one cache line of the processor."""

# Columns of `Tours.stop`, the row of an order.
NEXT, PREV, TRIP = 0, 1, 2  # the orders behind and before it in its trip (0: none), its trip (-1: unserved)
OPENS, CLOSES = 3, 4  # the one of its windows in which it is served
EARLIEST, LATEST = 5, 6  # begin of service: as early as possible; as late as the trips behind allow
ELAPSED = 7  # seconds from the start of loading to service without any waiting
START_BOUND = 8  # latest start of loading with which this order and all before it are in their windows
LEG_COST = 9  # cost of the leg to it
DURATION = 10  # seconds of service, a copy of the fleet's SERVICE
COLD_SLACK = 11  # seconds by which the ride may grow before a cold limit breaks here or behind; if COLD_LIMIT < FAR

# Columns of `Tours.trip`. Column 5 is the second load of FREE_LOAD.
HEAD, TAIL, SIZE, VEHICLE = 0, 1, 2, 3  # first and last order, number of orders, vehicle
FREE_LOAD = 4  # what may still be loaded, two columns
START, LATEST_START = 6, 9  # start of loading: as early as possible; as late as the day allows
RETURN = 7  # seconds at which it is back at the station, as early as possible
DUE = 8  # seconds at which it must be back at HOME
HOME, HOME_COST = 10, 11  # place where the trip ends, cost of the leg there
COLD_LIMIT = 12  # the shortest cold limit of its orders

# Entries of `Tours.totals`.
COST, UNSERVED, FREE = 0, 1, 2


class Tours(NamedTuple):
    """Arrays of a solution, changed in place."""

    stop: Array  # int32 [place, WIDTH]: one row for each order
    trip: Array  # int32 [trip, WIDTH]
    trip_count: Array  # int32 [vehicle]
    trips: Array  # int32 [vehicle, position]: its trips in driving order, `trip_count` of them
    day_cost: Array  # int64 [vehicle]
    free_trips: Array  # int32: a stack of unused rows of `trip`, totals[FREE] of them
    unserved: Array  # int32: the unserved orders, totals[UNSERVED] of them
    totals: Array  # int64 [3]: cost with what skipped orders cost, number of unserved orders, number of free trips


def empty(fleet: Fleet) -> Tours:
    """Return tours that serve no order."""
    n, vehicles, places = fleet.orders, len(fleet.kind), len(fleet.demand)
    trips = n + vehicles
    tours = Tours(
        np.zeros((places, WIDTH), np.int32),
        np.zeros((trips, WIDTH), np.int32),
        np.zeros(vehicles, np.int32),
        np.zeros((vehicles, int(fleet.max_trips)), np.int32),
        np.zeros(vehicles, np.int64),
        np.arange(trips, dtype=np.int32)[::-1].copy(),
        np.zeros(places, np.int32),
        np.array([fleet.skip_cost[1 : n + 1].sum(), n, trips], np.int64),
    )
    tours.stop[:, TRIP] = -1
    tours.stop[:, DURATION] = fleet.demand[:, SERVICE]
    tours.unserved[:n] = np.arange(1, n + 1)
    return tours


@njit
def copy(source: Tours, target: Tours) -> None:
    """Make `target` equal to `source`."""
    target.stop[:] = source.stop
    target.trip[:] = source.trip
    target.trip_count[:] = source.trip_count
    target.trips[:] = source.trips
    target.day_cost[:] = source.day_cost
    target.free_trips[:] = source.free_trips
    target.unserved[:] = source.unserved
    target.totals[:] = source.totals


@njit
def copy_days(source: Tours, target: Tours, touched: Array, count: Int) -> None:
    """Make `target` equal to `source` when they differ only in the days of the vehicles `touched[:count]`.

    Much less to copy than all: a round changes a few days of many.
    """
    for n in range(count):
        vehicle = touched[n]
        target.trip_count[vehicle], target.day_cost[vehicle] = source.trip_count[vehicle], source.day_cost[vehicle]
        for position in range(source.trip_count[vehicle]):
            trip = source.trips[vehicle, position]
            target.trips[vehicle, position] = trip
            for column in range(WIDTH):
                target.trip[trip, column] = source.trip[trip, column]
            order = source.trip[trip, HEAD]
            while order:
                for column in range(WIDTH):
                    target.stop[order, column] = source.stop[order, column]
                order = source.stop[order, NEXT]
    for n in range(source.totals[UNSERVED]):
        target.unserved[n] = source.unserved[n]
        target.stop[source.unserved[n], TRIP] = -1
    target.free_trips[:] = source.free_trips
    target.totals[:] = source.totals


@inline
def update(fleet: Fleet, tours: Tours, vehicle: Int) -> None:
    """Compute the times and the cost of the vehicle's day, and add the change to the total cost."""
    cost = fleet.fixed_cost[vehicle] if tours.trip_count[vehicle] else int64(0)
    clock = int64(fleet.shift_start[vehicle])
    # Earliest times, from the first trip to the last: each begins when the one before is back.
    for position in range(tours.trip_count[vehicle]):
        trip = tours.trips[vehicle, position]
        # Only the last trip ends at the courier's own place, the others at the station.
        tours.trip[trip, HOME] = fleet.home[vehicle] if position == tours.trip_count[vehicle] - 1 else 0
        cost += _forward(fleet, tours, trip, fleet.kind[vehicle], clock)
        clock = int64(tours.trip[trip, RETURN])
    due = int64(fleet.shift_end[vehicle])
    # Latest times, from the last trip to the first: each must be back when the next one must load.
    for position in range(tours.trip_count[vehicle] - 1, -1, -1):
        trip = tours.trips[vehicle, position]
        tours.trip[trip, DUE] = due
        due = _backward(fleet, tours, trip, fleet.kind[vehicle], due)
    if fleet.wait_cost[vehicle]:
        cost += fleet.wait_cost[vehicle] * _waiting(fleet, tours, vehicle)
    tours.totals[COST] += cost - tours.day_cost[vehicle]
    tours.day_cost[vehicle] = cost


@inline
def _forward(fleet: Fleet, tours: Tours, trip: Int, kind: Int, clock: Int) -> Int:
    """Compute the trip's earliest times when its vehicle is free at `clock`; return the cost of its legs."""
    row, cold_limit = tours.trip[trip], int64(FAR)
    order = row[HEAD]
    # Loading starts when the goods of every order are there.
    while order:
        clock = max(clock, fleet.demand[order, RELEASE])
        cold_limit = min(cold_limit, fleet.demand[order, COLD])
        order = tours.stop[order, NEXT]
    row[START], row[COLD_LIMIT] = clock, cold_limit
    cost, start_bound, elapsed = int64(0), int64(FAR), int64(fleet.load_s)
    clock += fleet.load_s
    here, order = 0, row[HEAD]
    while order:
        stop = tours.stop[order]
        leg, leg_cost = fleet.time[kind, here, order], fleet.cost[kind, here, order]
        elapsed += leg
        # Times are cut at FAR, so that an unreachable place can't overflow 32 bits.
        clock = min(max(clock + leg, stop[OPENS]), FAR)
        start_bound = min(start_bound, stop[CLOSES] - elapsed)
        stop[EARLIEST], stop[ELAPSED], stop[START_BOUND], stop[LEG_COST] = clock, elapsed, start_bound, leg_cost
        cost += leg_cost
        elapsed = min(elapsed + stop[DURATION], FAR)
        clock += stop[DURATION]
        here, order = order, stop[NEXT]
    row[HOME_COST] = fleet.cost[kind, here, row[HOME]]
    # RETURN is at the station even for a last trip that ends elsewhere: another trip may be put behind it.
    row[RETURN] = clock + fleet.time[kind, here, 0]
    return cost + row[HOME_COST]


@inline
def _backward(fleet: Fleet, tours: Tours, trip: Int, kind: Int, due: Int) -> Int:
    """Compute the trip's latest times when it must be home at `due`; return its latest start of loading."""
    row = tours.trip[trip]
    then, order, slack = row[HOME], row[TAIL], int64(FAR)
    while order:
        stop = tours.stop[order]
        if row[COLD_LIMIT] < FAR:
            # Seconds out of the cold count from the end of loading, ELAPSED from its start.
            slack = min(slack, fleet.demand[order, COLD] + fleet.load_s - stop[ELAPSED])
            stop[COLD_SLACK] = slack
        due = max(min(stop[CLOSES], due - fleet.time[kind, order, then] - stop[DURATION]), -FAR)
        stop[LATEST] = due
        then, order = order, stop[PREV]
    due -= fleet.time[kind, 0, then] + fleet.load_s
    row[LATEST_START] = max(due, -FAR)
    return due


@njit
def _waiting(fleet: Fleet, tours: Tours, vehicle: Int) -> Int:
    """Return the seconds that the vehicle waits on its day when it begins as late as the day's end allows.

    The day is kept as a function of its begin: `past` seconds lie between the begin and the current point, waiting
    included, as long as it begins no earlier than `latest`. Waiting that a later begin would avoid is not counted.
    """
    time, waited, past, latest = fleet.time[fleet.kind[vehicle]], int64(0), int64(0), int64(FAR)
    for position in range(tours.trip_count[vehicle]):
        row = tours.trip[tours.trips[vehicle, position]]
        # Waiting for releases at the station.
        gap = max(0, row[START] - latest - past)
        waited += gap
        past += gap + fleet.load_s
        here, order = 0, row[HEAD]
        while order:
            stop = tours.stop[order]
            past += time[here, order]
            # Waiting for the window to open, even if the day begins as late as the stops before allow.
            gap = max(0, stop[OPENS] - latest - past)
            latest = min(latest, stop[CLOSES] - past)
            waited += gap
            past += gap + stop[DURATION]
            here, order = order, stop[NEXT]
        past += time[here, row[HOME]]
    return waited


@inline
def remove(fleet: Fleet, tours: Tours, order: Int) -> Int:
    """Make the order unserved; free its trip when that is empty then. Return the vehicle, which needs an `update`."""
    trip = tours.stop[order, TRIP]
    row = tours.trip[trip]
    before, behind = tours.stop[order, PREV], tours.stop[order, NEXT]
    # Unlink it.
    if before:
        tours.stop[before, NEXT] = behind
    else:
        row[HEAD] = behind
    if behind:
        tours.stop[behind, PREV] = before
    else:
        row[TAIL] = before
    row[FREE_LOAD] += fleet.demand[order, LOAD]
    row[FREE_LOAD + 1] += fleet.demand[order, LOAD + 1]
    row[SIZE] -= 1
    tours.stop[order, TRIP] = -1
    tours.unserved[tours.totals[UNSERVED]] = order
    tours.totals[COST] += fleet.skip_cost[order]
    tours.totals[UNSERVED] += 1
    if row[SIZE] == 0:
        drop_trip(tours, trip)
    return row[VEHICLE]


@njit
def drop_trip(tours: Tours, trip: Int) -> None:
    """Take a trip without orders from its vehicle and push it on the stack of free trips."""
    vehicle, position = tours.trip[trip, VEHICLE], 0
    while tours.trips[vehicle, position] != trip:
        position += 1
    tours.trip_count[vehicle] -= 1
    for later in range(position, tours.trip_count[vehicle]):
        tours.trips[vehicle, later] = tours.trips[vehicle, later + 1]
    tours.free_trips[tours.totals[FREE]] = trip
    tours.totals[FREE] += 1


@njit
def new_trip(fleet: Fleet, tours: Tours, vehicle: Int, position: Int) -> Int:
    """Return an empty trip, inserted as the vehicle's trip number `position` (from 0)."""
    tours.totals[FREE] -= 1
    trip = tours.free_trips[tours.totals[FREE]]
    for later in range(tours.trip_count[vehicle], position, -1):
        tours.trips[vehicle, later] = tours.trips[vehicle, later - 1]
    tours.trips[vehicle, position] = trip
    tours.trip_count[vehicle] += 1
    row = tours.trip[trip]
    row[VEHICLE], row[HEAD], row[TAIL], row[SIZE] = vehicle, 0, 0, 0
    row[FREE_LOAD], row[FREE_LOAD + 1] = fleet.capacity[vehicle, 0], fleet.capacity[vehicle, 1]
    return trip


@inline
def link(fleet: Fleet, tours: Tours, order: Int, trip: Int, after: Int) -> None:
    """Insert the order into the trip behind `after` (0: as the first).

    The caller still removes it from `unserved` and calls `update` for the vehicle.
    """
    row = tours.trip[trip]
    behind = tours.stop[after, NEXT] if after else row[HEAD]
    tours.stop[order, NEXT], tours.stop[order, PREV], tours.stop[order, TRIP] = behind, after, trip
    if after:
        tours.stop[after, NEXT] = order
    else:
        row[HEAD] = order
    if behind:
        tours.stop[behind, PREV] = order
    else:
        row[TAIL] = order
    row[SIZE] += 1
    row[FREE_LOAD] -= fleet.demand[order, LOAD]
    row[FREE_LOAD + 1] -= fleet.demand[order, LOAD + 1]
    tours.totals[COST] -= fleet.skip_cost[order]
