"""Who drives what: trips as chains of orders, each vehicle's trips in order, and the times that follow.

Orders and trips are rows of 16 numbers, a line of the processor's cache each: that is half of the speed. For an order,
BEGIN is when service begins at the soonest, LATEST when it must, BARE the time since the trip began without any
waiting, BOUND how late the trip may begin for the order and all before it. So an insertion is checked in constant
time, also one that delays the trip's beginning by its release.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from services.dispatch.planning.search.kernel.fleet import COLD, FAR, LOAD, RELEASE, SERVICE, Array, Fleet, Whole, wide
from services.dispatch.planning.search.kernel.jit import inline, njit

WIDTH = 16
NEXT, PREV, TRIP, OPENS, SHUTS, BEGIN, LATEST, BARE, BOUND, GAP, AFTER, SPARE = range(12)
"""Of an order: its neighbours (0: none), its trip (-1: left out), the window that is meant, the times above, what the
way to it costs, its service time, and how much longer goods may be on the way from it on."""
HEAD, TAIL, SIZE, VEHICLE, ROOM, LEAVES, BACK, DUE, LAST, HOME, HOMEWARD, CHILLY = (*range(5), *range(6, 13))
"""Of a trip: first and last order, how many, whose, what may still be loaded (two columns), when loading begins at the
soonest, when it would be back at the station, when it must be home, when loading must begin, where it ends, what the
way there costs, the shortest cold limit."""


class Tours(NamedTuple):
    """Changed in place."""

    order: Array  # int32 [place, WIDTH]
    trip: Array  # int32 [trip, WIDTH]
    count: Array  # int32 [vehicle]: trips
    trips: Array  # int32 [vehicle, :]
    paid: Array  # int64 [vehicle]: cost of its day
    free: Array  # int32: a stack of unused trips
    out: Array  # int32: orders left out
    sums: Array  # int64 [3]: cost with what leaving out costs, how many are out, how many trips are free


def empty(fleet: Fleet) -> Tours:
    """Tours that serve nobody."""
    n, vehicles, places = fleet.orders, len(fleet.kind), len(fleet.order)
    trips = n + vehicles
    tours = Tours(
        np.zeros((places, WIDTH), np.int32),
        np.zeros((trips, WIDTH), np.int32),
        np.zeros(vehicles, np.int32),
        np.zeros((vehicles, int(fleet.max_trips)), np.int32),
        np.zeros(vehicles, np.int64),
        np.arange(trips, dtype=np.int32)[::-1].copy(),
        np.zeros(places, np.int32),
        np.array([fleet.absent[1 : n + 1].sum(), n, trips], np.int64),
    )
    tours.order[:, TRIP] = -1
    tours.order[:, AFTER] = fleet.order[:, SERVICE]
    tours.out[:n] = np.arange(1, n + 1)
    return tours


@njit
def copy(a: Tours, b: Tours) -> None:
    """Makes b equal to a."""
    b.order[:] = a.order
    b.trip[:] = a.trip
    b.count[:] = a.count
    b.trips[:] = a.trips
    b.paid[:] = a.paid
    b.free[:] = a.free
    b.out[:] = a.out
    b.sums[:] = a.sums


@njit
def follow(a: Tours, b: Tours, touched: Array, k: Whole) -> None:
    """Makes b equal to a, when they differ only in the days of the vehicles `touched[:k]`."""
    for q in range(k):
        v = touched[q]
        b.count[v], b.paid[v] = a.count[v], a.paid[v]
        for j in range(a.count[v]):
            t = a.trips[v, j]
            b.trips[v, j] = t
            for x in range(WIDTH):
                b.trip[t, x] = a.trip[t, x]
            i = a.trip[t, HEAD]
            while i:
                for x in range(WIDTH):
                    b.order[i, x] = a.order[i, x]
                i = a.order[i, NEXT]
    for q in range(a.sums[1]):
        b.out[q] = a.out[q]
        b.order[a.out[q], TRIP] = -1
    b.free[:] = a.free
    b.sums[:] = a.sums


@inline
def update(fleet: Fleet, tours: Tours, v: Whole) -> None:
    """Works out the times and the cost of the vehicle's day."""
    paid = fleet.once[v] if tours.count[v] else wide(0)
    clock = wide(fleet.opens[v])
    for j in range(tours.count[v]):
        t = tours.trips[v, j]
        tours.trip[t, HOME] = fleet.home[v] if j == tours.count[v] - 1 else 0
        paid += _forward(fleet, tours, t, fleet.kind[v], clock)
        clock = wide(tours.trip[t, BACK])
    due = wide(fleet.shuts[v])
    for j in range(tours.count[v] - 1, -1, -1):
        t = tours.trips[v, j]
        tours.trip[t, DUE] = due
        due = _backward(fleet, tours, t, fleet.kind[v], due)
    if fleet.wage[v]:
        paid += fleet.wage[v] * _waited(fleet, tours, v)
    tours.sums[0] += paid - tours.paid[v]
    tours.paid[v] = paid


@inline
def _forward(fleet: Fleet, tours: Tours, t: Whole, kind: Whole, clock: Whole) -> Whole:
    trip, chilly = tours.trip[t], wide(FAR)
    i = trip[HEAD]
    while i:
        clock = max(clock, fleet.order[i, RELEASE])
        chilly = min(chilly, fleet.order[i, COLD])
        i = tours.order[i, NEXT]
    trip[LEAVES], trip[CHILLY] = clock, chilly
    paid, bound, bare = wide(0), wide(FAR), wide(fleet.load_s)
    clock += fleet.load_s
    here, i = 0, trip[HEAD]
    while i:
        row = tours.order[i]
        leg, gap = fleet.time[kind, here, i], fleet.cost[kind, here, i]
        bare += leg
        clock = min(max(clock + leg, row[OPENS]), FAR)
        bound = min(bound, row[SHUTS] - bare)
        row[BEGIN], row[BARE], row[BOUND], row[GAP] = clock, bare, bound, gap
        paid += gap
        bare = min(bare + row[AFTER], FAR)
        clock += row[AFTER]
        here, i = i, row[NEXT]
    trip[HOMEWARD] = fleet.cost[kind, here, trip[HOME]]
    trip[BACK] = clock + fleet.time[kind, here, 0]
    return paid + trip[HOMEWARD]


@inline
def _backward(fleet: Fleet, tours: Tours, t: Whole, kind: Whole, due: Whole) -> Whole:
    trip = tours.trip[t]
    then, i, spare = trip[HOME], trip[TAIL], wide(FAR)
    while i:
        row = tours.order[i]
        if trip[CHILLY] < FAR:
            spare = min(spare, fleet.order[i, COLD] + fleet.load_s - row[BARE])
            row[SPARE] = spare
        due = max(min(row[SHUTS], due - fleet.time[kind, i, then] - row[AFTER]), -FAR)
        row[LATEST] = due
        then, i = i, row[PREV]
    due -= fleet.time[kind, 0, then] + fleet.load_s
    trip[LAST] = max(due, -FAR)
    return due


@njit
def _waited(fleet: Fleet, tours: Tours, v: Whole) -> Whole:
    """How long the vehicle waits in all on its day, when it begins as late as the day's end allows."""
    time, waited, past, latest = fleet.time[fleet.kind[v]], wide(0), wide(0), wide(FAR)
    for j in range(tours.count[v]):
        trip = tours.trip[tours.trips[v, j]]
        gap = max(0, trip[LEAVES] - latest - past)
        waited += gap
        past += gap + fleet.load_s
        here, i = 0, trip[HEAD]
        while i:
            row = tours.order[i]
            past += time[here, i]
            gap = max(0, row[OPENS] - latest - past)
            latest = min(latest, row[SHUTS] - past)
            waited += gap
            past += gap + row[AFTER]
            here, i = i, row[NEXT]
        past += time[here, trip[HOME]]
    return waited


@inline
def take_out(fleet: Fleet, tours: Tours, i: Whole) -> Whole:
    """Leaves order i out; a trip without orders goes. Returns the vehicle, whose day is to be updated."""
    t = tours.order[i, TRIP]
    trip = tours.trip[t]
    a, b = tours.order[i, PREV], tours.order[i, NEXT]
    if a:
        tours.order[a, NEXT] = b
    else:
        trip[HEAD] = b
    if b:
        tours.order[b, PREV] = a
    else:
        trip[TAIL] = a
    trip[ROOM] += fleet.order[i, LOAD]
    trip[ROOM + 1] += fleet.order[i, LOAD + 1]
    trip[SIZE] -= 1
    tours.order[i, TRIP] = -1
    tours.out[tours.sums[1]] = i
    tours.sums[0] += fleet.absent[i]
    tours.sums[1] += 1
    if trip[SIZE] == 0:
        drop(tours, t)
    return trip[VEHICLE]


@njit
def drop(tours: Tours, t: Whole) -> None:
    """A trip without orders goes."""
    v, j = tours.trip[t, VEHICLE], 0
    while tours.trips[v, j] != t:
        j += 1
    tours.count[v] -= 1
    for q in range(j, tours.count[v]):
        tours.trips[v, q] = tours.trips[v, q + 1]
    tours.free[tours.sums[2]] = t
    tours.sums[2] += 1


@njit
def new_trip(fleet: Fleet, tours: Tours, v: Whole, j: Whole) -> Whole:
    """An empty trip, the vehicle's j-th."""
    tours.sums[2] -= 1
    t = tours.free[tours.sums[2]]
    for q in range(tours.count[v], j, -1):
        tours.trips[v, q] = tours.trips[v, q - 1]
    tours.trips[v, j] = t
    tours.count[v] += 1
    trip = tours.trip[t]
    trip[VEHICLE], trip[HEAD], trip[TAIL], trip[SIZE] = v, 0, 0, 0
    trip[ROOM], trip[ROOM + 1] = fleet.room[v, 0], fleet.room[v, 1]
    return t


@inline
def put_in(fleet: Fleet, tours: Tours, i: Whole, t: Whole, after: Whole) -> None:
    """Order i into trip t behind `after` (0: as the first). It is still to be struck off `out`, the day updated."""
    trip = tours.trip[t]
    b = tours.order[after, NEXT] if after else trip[HEAD]
    tours.order[i, NEXT], tours.order[i, PREV], tours.order[i, TRIP] = b, after, t
    if after:
        tours.order[after, NEXT] = i
    else:
        trip[HEAD] = i
    if b:
        tours.order[b, PREV] = i
    else:
        trip[TAIL] = i
    trip[SIZE] += 1
    trip[ROOM] -= fleet.order[i, LOAD]
    trip[ROOM + 1] -= fleet.order[i, LOAD + 1]
    tours.sums[0] -= fleet.absent[i]
