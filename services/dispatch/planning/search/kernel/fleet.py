"""What the kernel knows of a problem and never changes: costs, times, couriers' shifts, what each order asks for."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = Any
"""A numpy array; its type and shape are said where the field stands."""
Whole = Any
"""An integer of the kernel, 32 or 64 bits."""
wide: Any = np.int64
"""To 64 bits, where sums begin."""
NOTHING = np.zeros((1, 1), np.int32)
FAR = 2**29
"""No way, no limit, for ever: more than any sum of a day's seconds, and three of them still fit 32 bits."""
PLACES, MOST_PROXIMITY = 2**20, 2**42
"""More places than there ever are; further than any. Their product fits 64 bits."""
LOAD, SERVICE, RELEASE, COLD = 0, 2, 3, 4
"""Columns of `Fleet.order`; COLD is the longest time from the end of loading to service."""


class Fleet(NamedTuple):
    """Flat arrays over places (0 the station, 1..n the orders, then couriers' homes) and vehicles.

    A vehicle is a courier's shift, or the part of it before or after a break. Equal vehicles share a `group`. The way
    of travelling and paying is its `kind`: it selects the matrices. Times are seconds from some zero.
    """

    cost: Array  # int32 [kind, place, place]: what the way costs
    time: Array  # int32 [kind, place, place]: seconds
    kind: Array  # int32 [vehicle]
    group: Array  # int32 [vehicle]
    room: Array  # int32 [vehicle, 2]: what a trip may carry
    opens: Array  # int32 [vehicle]: ready at the station
    shuts: Array  # int32 [vehicle]: at its home at the latest
    home: Array  # int32 [vehicle]: where its last trip ends
    once: Array  # int64 [vehicle]: cost of being used at all
    wage: Array  # int64 [vehicle]: cost of a second of waiting
    able: Array  # bool [group, place]: skills, zones and an empty vehicle allow the order
    order: Array  # int32 [place, 5]: LOAD, LOAD + 1, SERVICE, RELEASE, COLD
    windows: Array  # int32 [place, window, 2], in order; unused ones are upside down
    absent: Array  # int64 [place]: what leaving the order out costs
    lone: Array  # int64 [place]: least that a trip of its own adds
    load_s: int
    max_trips: int
    near: Array  # int32 [place, :]: orders beside which it may be put, 0 ends the list
    near_cost: Array = NOTHING  # int32 [kind, place, :]: the way from each of them to it
    near_time: Array = NOTHING
    nearest: Array = NOTHING  # int32 [place, :]: itself, then orders by distance
    focus: int = 0  # an order that the search is for; 0 for all alike

    @property
    def orders(self) -> int:
        """How many orders there are."""
        return int(self.near.shape[0]) - 1


def bound(fleet: Fleet, near: int, around: int) -> Fleet:
    """The fleet with its lists of neighbours, `near` and `around` at most for each order; `near` of the fleet given
    says only how many orders there are. A search that is for one order needs no `around`."""
    n = fleet.orders
    square = fleet.cost[0, : n + 1, : n + 1]
    both = proximity(square, fleet.time[0], fleet.windows[: n + 1], fleet.order[: n + 1, SERVICE])
    beside = neighbours(both, near)
    columns, there = beside.astype(np.int64), np.arange(n + 1)[:, None]
    near_cost = np.ascontiguousarray(fleet.cost[:, columns, there])
    near_time = near_cost if fleet.time is fleet.cost else np.ascontiguousarray(fleet.time[:, columns, there])
    fleet = fleet._replace(near=beside, near_cost=near_cost, near_time=near_time)
    return fleet if fleet.focus else fleet._replace(nearest=circle(square, around))


def proximity(cost: Array, time: Array, windows: Array, service: Array) -> Array:
    """How badly j goes beside i, n x n, infinite where neither can follow the other: cost and a fifth of the waiting.

    After Vidal et al., "A hybrid genetic algorithm with adaptive diversity management for a large class of vehicle
    routing problems with time-windows" (2013).
    """
    size = len(service)
    first = windows[:, 0, 0]
    last = windows[:, :, 1].max(axis=1)
    time = time[:size, :size]
    rate = cost.sum() / max(time.sum(), 1)
    arc = first[None, :] - (service + last)[:, None] - time.astype(np.float64)
    np.maximum(arc, 0, out=arc)  # the waiting
    arc *= 0.2 * rate
    arc += cost
    arc[(first + service)[:, None] + time > last[None, :]] = np.inf
    both = np.minimum(arc, arc.T)
    np.fill_diagonal(both, np.inf)
    both[0, :] = both[:, 0] = np.inf
    return both


def neighbours(both: Array, most: int) -> Array:
    """int32 [place, most + 1]: the places of least proximity in order, 0 behind the last."""
    size = len(both)
    kept = min(most, size)
    rank = np.minimum(both, MOST_PROXIMITY).astype(np.int64) * PLACES + np.arange(size)  # sorted as one number
    if kept < size:
        rank = np.partition(rank, kept - 1, axis=1)[:, :kept]
    rank.sort(axis=1)
    found = np.zeros((size, kept + 1), np.int32)
    found[:, :kept] = np.where(rank < MOST_PROXIMITY * PLACES, rank % PLACES, 0)
    return found


def circle(cost: Array, most: int) -> Array:
    """int32 [place, most]: the place itself, then the nearest others, for `near` places only (without the station)."""
    size = len(cost)
    away = cost.astype(np.float64)
    np.fill_diagonal(away, -1)
    away[:, 0] = np.inf
    kept = min(most, size - 1)
    return neighbours(away, kept)[:, :kept].copy()
