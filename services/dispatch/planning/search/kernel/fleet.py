"""Constant arrays of a search: costs, times, vehicles' shifts and loads, and the orders' requirements."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = Any
"""A numpy array; its type and shape are in the comment of its field."""
Int = Any
"""An integer of the kernel, 32 or 64 bits."""
int64: Any = np.int64
"""Converts to 64 bits; used where a sum begins."""
NOTHING = np.zeros((1, 1), np.int32)
FAR = 2**29
"""No way, no limit, unbounded: more than any sum of a day's seconds, and three of them still fit 32 bits."""
PLACES, MOST_PROXIMITY = 2**20, 2**42
"""Upper bounds of the number of places and of a proximity. Their product fits 64 bits."""
LOAD, SERVICE, RELEASE, COLD = 0, 2, 3, 4
"""Columns of `Fleet.demand`; the second load is in LOAD + 1. COLD is the longest time from the end of loading to the
begin of service."""
WAITING_WEIGHT = 0.2
"""Weight of waiting time in a proximity, as in the paper cited at `proximity`."""


class Fleet(NamedTuple):
    """Flat arrays over places (0 the station, 1..n the orders, then couriers' own places) and vehicles.

    A vehicle is a courier's shift, or the part of it before or after a break. Vehicles that are equal in everything
    share a `group`. The mode of travel and pay is the vehicle's `kind`; it selects the matrices. Times are seconds
    from the second 0 of the fleet.
    """

    cost: Array  # int32 [kind, place, place]: cost of the leg
    time: Array  # int32 [kind, place, place]: seconds of the leg
    kind: Array  # int32 [vehicle]
    group: Array  # int32 [vehicle]
    capacity: Array  # int32 [vehicle, 2]: both loads that one trip may carry
    shift_start: Array  # int32 [vehicle]: ready at the station
    shift_end: Array  # int32 [vehicle]: at `home` at the latest
    home: Array  # int32 [vehicle]: place where its last trip ends
    fixed_cost: Array  # int64 [vehicle]: cost of using it at all
    wait_cost: Array  # int64 [vehicle]: cost of a second of waiting
    may_serve: Array  # bool [group, place]: skills, zones and an empty vehicle allow the order
    demand: Array  # int32 [place, 5]: LOAD, LOAD + 1, SERVICE, RELEASE, COLD
    windows: Array  # int32 [place, window, 2], sorted; unused ones close before they open
    skip_cost: Array  # int64 [place]: cost of leaving the order unserved
    alone_cost: Array  # int64 [place]: least that a trip with only this order adds
    load_s: int  # seconds of loading before each trip
    max_trips: int  # most trips of a vehicle
    neighbours: Array  # int32 [place, :]: orders beside which it may be inserted, best first, 0 ends the list
    neighbour_cost: Array = NOTHING  # int32 [kind, place, :]: cost of the leg from each of them to it
    neighbour_time: Array = NOTHING  # int32 [kind, place, :]: seconds of that leg
    nearest: Array = NOTHING  # int32 [place, :]: the order itself, then the others by distance
    focus: int = 0  # the order that the search is for; 0 when all count alike

    @property
    def orders(self) -> int:
        """The number of orders."""
        return int(self.neighbours.shape[0]) - 1


def with_neighbours(fleet: Fleet, most_neighbours: int, most_nearest: int) -> Fleet:
    """Return the fleet with its neighbour lists, cut to these lengths.

    `neighbours` of the fleet given is only used for the number of orders. A search with a `focus` needs no `nearest`.
    """
    n = fleet.orders
    square = fleet.cost[0, : n + 1, : n + 1]
    both = proximity(square, fleet.time[0], fleet.windows[: n + 1], fleet.demand[: n + 1, SERVICE])
    beside = ranked(both, most_neighbours)
    sources, targets = beside.astype(np.int64), np.arange(n + 1)[:, None]
    cost = np.ascontiguousarray(fleet.cost[:, sources, targets])
    # Equal matrices stay one object: half of the memory, half of the cache.
    time = cost if fleet.time is fleet.cost else np.ascontiguousarray(fleet.time[:, sources, targets])
    fleet = fleet._replace(neighbours=beside, neighbour_cost=cost, neighbour_time=time)
    return fleet if fleet.focus else fleet._replace(nearest=nearest_orders(square, most_nearest))


def proximity(cost: Array, time: Array, windows: Array, service: Array) -> Array:
    """Return how badly order j goes beside order i: float64 [n, n], infinite where neither can follow the other.

    The leg's cost plus a fifth of the waiting that the windows force, in the better of the two directions. Source:
    Vidal et al., "A hybrid genetic algorithm with adaptive diversity management for a large class of vehicle routing
    problems with time-windows" (2013).
    """
    size = len(service)
    first = windows[:, 0, 0]
    last = windows[:, :, 1].max(axis=1)
    time = time[:size, :size]
    rate = cost.sum() / max(time.sum(), 1)  # cost of a second, on average
    # Waiting at j after the latest service at i; computed in place, as n x n floats are large.
    arc = first[None, :] - (service + last)[:, None] - time.astype(np.float64)
    np.maximum(arc, 0, out=arc)
    arc *= WAITING_WEIGHT * rate
    arc += cost
    arc[(first + service)[:, None] + time > last[None, :]] = np.inf  # even the earliest start is too late
    both = np.minimum(arc, arc.T)
    np.fill_diagonal(both, np.inf)
    both[0, :] = both[:, 0] = np.inf  # the station is no neighbour
    return both


def ranked(both: Array, most: int) -> Array:
    """Return int32 [place, most + 1]: for each place the others of least proximity in order, 0 behind the last."""
    size = len(both)
    kept = min(most, size)
    # Proximity and place in one integer: a single sort, with ties broken by the place.
    rank = np.minimum(both, MOST_PROXIMITY).astype(np.int64) * PLACES + np.arange(size)
    if kept < size:
        rank = np.partition(rank, kept - 1, axis=1)[:, :kept]
    rank.sort(axis=1)
    found = np.zeros((size, kept + 1), np.int32)
    found[:, :kept] = np.where(rank < MOST_PROXIMITY * PLACES, rank % PLACES, 0)
    return found


def nearest_orders(cost: Array, most: int) -> Array:
    """Return int32 [place, most]: the order itself, then the nearest other orders, without the station."""
    size = len(cost)
    away = cost.astype(np.float64)
    np.fill_diagonal(away, -1)  # itself first
    away[:, 0] = np.inf
    kept = min(most, size - 1)
    return ranked(away, kept)[:, :kept].copy()
