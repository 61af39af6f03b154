"""Exchange of the ends of two trips (2-opt*), a move that removing and inserting a few orders seldom produces.

Source: Potvin and Rousseau, "An Exchange Heuristic for Routeing Problems with Time Windows" (1995).
"""

from __future__ import annotations

from services.dispatch.planning.search.kernel.fleet import LOAD, Array, Fleet, Int, int64
from services.dispatch.planning.search.kernel.jit import inline, njit
from services.dispatch.planning.search.kernel.recreate import below
from services.dispatch.planning.search.kernel.tours import (
    DURATION,
    EARLIEST,
    FREE_LOAD,
    HEAD,
    HOME,
    HOME_COST,
    LATEST,
    LEG_COST,
    NEXT,
    PREV,
    SIZE,
    TAIL,
    TRIP,
    VEHICLE,
    Tours,
    drop_trip,
    update,
)
from services.dispatch.planning.search.kernel.trips import feasible

TRIES, CLOSEST = 30, 20
"""Pairs of orders tried in one call; the partner is one of so many best neighbours
(docs/experiments/planning.md#exchange-of-ends)."""


@njit
def exchange_tails(fleet: Fleet, tours: Tours, rng: Array, slack: float, touched: Array, marked: Array) -> Int:
    """Drive from an order directly to a near one of another trip; the orders behind the first follow those before the
    second.

        before:   ... first -> behind ...      ... before -> second ...
        after:    ... first -> second ...      ... before -> behind ...

    Return the number of touched vehicles: 2, or 0 when no try adds less than `slack` (in cost) and is feasible.
    """
    for _ in range(TRIES):
        second = 1 + below(rng, fleet.neighbours.shape[0] - 1)
        first = int64(fleet.neighbours[second, below(rng, min(CLOSEST, fleet.neighbours.shape[1]))])
        if not (first and _pays(fleet, tours, first, second, slack)):
            continue
        trip, other_trip = int64(tours.stop[first, TRIP]), int64(tours.stop[second, TRIP])
        before = int64(tours.stop[second, PREV])
        vehicle, other = tours.trip[trip, VEHICLE], tours.trip[other_trip, VEHICLE]
        _swap(fleet, tours, trip, first, other_trip, before)
        update(fleet, tours, vehicle)
        update(fleet, tours, other)
        if feasible(fleet, tours, vehicle) and feasible(fleet, tours, other):
            # Nothing may be left of the second trip: all of it followed the first one.
            if tours.trip[other_trip, SIZE] == 0:
                drop_trip(tours, other_trip)
                update(fleet, tours, other)
            marked[vehicle] = marked[other] = True
            touched[0], touched[1] = vehicle, other
            return int64(2)
        _swap(fleet, tours, trip, first, other_trip, before)  # undo
        update(fleet, tours, vehicle)
        update(fleet, tours, other)
    return int64(0)


@inline
def _pays(fleet: Fleet, tours: Tours, first: Int, second: Int, slack: float) -> bool:
    """Return whether the exchange adds less than `slack` and reaches both new next stops by their latest times.

    A cheap filter: times are those of before the exchange, loads and skills are not checked.
    """
    trip, other_trip = tours.stop[first, TRIP], tours.stop[second, TRIP]
    if trip < 0 or other_trip < 0 or trip == other_trip:
        return False
    row, other_row = tours.trip[trip], tours.trip[other_trip]
    vehicle, other = row[VEHICLE], other_row[VEHICLE]
    # Vehicles of another kind have other matrices: the legs behind would change as well.
    if vehicle == other or fleet.kind[vehicle] != fleet.kind[other]:
        return False
    kind, behind, before = fleet.kind[vehicle], tours.stop[first, NEXT], tours.stop[second, PREV]
    first_stop, second_stop = tours.stop[first], tours.stop[second]
    added = int64(fleet.cost[kind, first, second]) - second_stop[LEG_COST]
    added += fleet.cost[kind, before, behind if behind else other_row[HOME]] - (
        tours.stop[behind, LEG_COST] if behind else row[HOME_COST]
    )
    # The second trip becomes empty; if it is its vehicle's only one, the vehicle is saved.
    if not behind and not before and tours.trip_count[other] == 1:
        added -= fleet.fixed_cost[other]
    if added >= slack:
        return False
    if int64(first_stop[EARLIEST]) + first_stop[DURATION] + fleet.time[kind, first, second] > second_stop[LATEST]:
        return False
    leaves = int64(tours.stop[before, EARLIEST]) + tours.stop[before, DURATION]
    late = leaves + fleet.time[kind, before, behind] > tours.stop[behind, LATEST]
    return not (behind and before and late)


@inline
def _swap(fleet: Fleet, tours: Tours, trip: Int, after: Int, other_trip: Int, other_after: Int) -> None:
    """Exchange the orders behind `after` in `trip` for those behind `other_after` in `other_trip` (0: all orders).

    Doing it again undoes it.
    """
    head = int64(tours.stop[after, NEXT] if after else tours.trip[trip, HEAD])
    other_head = int64(tours.stop[other_after, NEXT] if other_after else tours.trip[other_trip, HEAD])
    tail, other_tail = int64(tours.trip[trip, TAIL]), int64(tours.trip[other_trip, TAIL])
    _move(fleet, tours, head, trip, other_trip)
    _move(fleet, tours, other_head, other_trip, trip)
    _join(tours, trip, after, other_head, other_tail)
    _join(tours, other_trip, other_after, head, tail)


@inline
def _move(fleet: Fleet, tours: Tours, order: Int, trip: Int, target: Int) -> None:
    """Count the chain of orders from `order` on for the trip `target` instead of `trip`."""
    while order:
        for which in range(2):
            load = fleet.demand[order, LOAD + which]
            tours.trip[trip, FREE_LOAD + which] += load
            tours.trip[target, FREE_LOAD + which] -= load
        tours.trip[trip, SIZE] -= 1
        tours.trip[target, SIZE] += 1
        tours.stop[order, TRIP] = target
        order = int64(tours.stop[order, NEXT])


@inline
def _join(tours: Tours, trip: Int, after: Int, head: Int, tail: Int) -> None:
    """Link the chain `head` .. `tail` (0: none) behind `after` (0: as the whole trip)."""
    if after:
        tours.stop[after, NEXT] = head
    else:
        tours.trip[trip, HEAD] = head
    if head:
        tours.stop[head, PREV] = after
    tours.trip[trip, TAIL] = tail if head else after
