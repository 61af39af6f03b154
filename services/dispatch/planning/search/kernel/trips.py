"""Moves of whole trips and days between vehicles, and the check of a whole day."""

from __future__ import annotations

from services.dispatch.planning.search.kernel.cold import cold_enough
from services.dispatch.planning.search.kernel.fleet import FAR, Array, Fleet, Int, int64
from services.dispatch.planning.search.kernel.jit import inline, njit
from services.dispatch.planning.search.kernel.recreate import below, draw
from services.dispatch.planning.search.kernel.tours import (
    COLD_LIMIT,
    EARLIEST,
    FREE_LOAD,
    HEAD,
    HOME,
    LATEST,
    LATEST_START,
    NEXT,
    OPENS,
    PREV,
    START,
    TAIL,
    VEHICLE,
    Tours,
    remove,
    update,
)


@inline
def _used(tours: Tours, rng: Array) -> Int:
    """Return a random vehicle that has trips: the first such from a random number on."""
    vehicles = tours.trip_count.shape[0]
    vehicle = below(rng, vehicles)
    while tours.trip_count[vehicle] == 0:
        vehicle = (vehicle + 1) % vehicles
    return vehicle


@inline
def remove_day(fleet: Fleet, tours: Tours, rng: Array, touched: Array, marked: Array) -> Int:
    """Remove all orders of a random vehicle's day, or of one of its trips; return 1, the number of touched vehicles.

    Hardly any other move leads to a plan with one vehicle less.
    """
    vehicle = _used(tours, rng)
    trips = tours.trip_count[vehicle]
    # Half of the numbers name a trip, the other half stand for the whole day.
    only = below(rng, 2 * trips)
    # From the last trip to the first: a trip that becomes empty leaves the list and moves those behind it.
    for position in range(trips - 1, -1, -1):
        if only == position or only >= trips:
            order = tours.trip[tours.trips[vehicle, position], HEAD]
            while order:
                behind = tours.stop[order, NEXT]
                remove(fleet, tours, order)
                order = behind
    update(fleet, tours, vehicle)
    marked[vehicle] = True
    touched[0] = vehicle
    return int64(1)


@njit
def exchange_trips(fleet: Fleet, tours: Tours, rng: Array, touched: Array, marked: Array) -> Int:
    """Let two vehicles exchange all their trips from some position on, or one trip for one or none.

    Return the number of touched vehicles: 2, or 0 when that breaks a rule, which leaves the tours unchanged.
    """
    one, other = _used(tours, rng), below(rng, tours.trip_count.shape[0])
    one_trips, other_trips = tours.trip_count[one], tours.trip_count[other]
    one_from, other_from = below(rng, one_trips), below(rng, other_trips + 1)
    if draw(rng) < 0.5:
        give, take = one_trips - one_from, other_trips - other_from
    else:
        give, take = int64(1), min(below(rng, 2), other_trips - other_from)
    too_many = one_trips - give + take > fleet.max_trips or other_trips - take + give > fleet.max_trips
    if one == other or too_many:
        return int64(0)
    _swap(fleet, tours, one, one_from, give, other, other_from, take)
    if not (feasible(fleet, tours, one) and feasible(fleet, tours, other)):
        # The same exchange the other way round undoes it.
        _swap(fleet, tours, one, one_from, take, other, other_from, give)
        return int64(0)
    marked[one] = marked[other] = True
    touched[0], touched[1] = one, other
    return int64(2)


@njit
def _swap(
    fleet: Fleet, tours: Tours, one: Int, one_from: Int, give: Int, other: Int, other_from: Int, take: Int
) -> None:
    """Exchange `give` trips of `one` from position `one_from` on for `take` trips of `other`, and update both days."""
    mine = tours.trips[one, : tours.trip_count[one]].copy()
    theirs = tours.trips[other, : tours.trip_count[other]].copy()
    _assign(fleet, tours, one, mine, theirs, one_from, give, other_from, take)
    _assign(fleet, tours, other, theirs, mine, other_from, take, one_from, give)
    update(fleet, tours, one)
    update(fleet, tours, other)


@inline
def _assign(
    fleet: Fleet,
    tours: Tours,
    vehicle: Int,
    mine: Array,
    theirs: Array,
    mine_from: Int,
    give: Int,
    theirs_from: Int,
    take: Int,
) -> None:
    """Give the vehicle its trips `mine` with `take` of `theirs` in place of `give` of them, from these positions on."""
    for n in range(take):
        trip = theirs[theirs_from + n]
        row = tours.trip[trip]
        before = row[VEHICLE]
        row[VEHICLE] = vehicle
        # The load stays, the capacity is another one; `feasible` finds a negative rest.
        row[FREE_LOAD] += fleet.capacity[vehicle, 0] - fleet.capacity[before, 0]
        row[FREE_LOAD + 1] += fleet.capacity[vehicle, 1] - fleet.capacity[before, 1]
        tours.trips[vehicle, mine_from + n] = trip
    # The vehicle's own trips behind those given away move up or down.
    for n in range(mine_from + give, mine.shape[0]):
        tours.trips[vehicle, n - give + take] = mine[n]
    tours.trip_count[vehicle] = mine.shape[0] - give + take


@njit
def feasible(fleet: Fleet, tours: Tours, vehicle: Int) -> bool:
    """Return whether the vehicle's day keeps skills, loads, times and cold limits. Its times must be up to date."""
    for position in range(tours.trip_count[vehicle]):
        trip = tours.trips[vehicle, position]
        row = tours.trip[trip]
        if row[FREE_LOAD] < 0 or row[FREE_LOAD + 1] < 0 or row[START] > row[LATEST_START]:
            return False
        order = row[HEAD]
        while order:
            stop = tours.stop[order]
            if stop[EARLIEST] > stop[LATEST] or not fleet.may_serve[fleet.group[vehicle], order]:
                return False
            order = stop[NEXT]
        if row[COLD_LIMIT] < FAR and not _keeps_cold(fleet, tours, trip, vehicle):
            return False
    return True


@njit
def _keeps_cold(fleet: Fleet, tours: Tours, trip: Int, vehicle: Int) -> bool:
    """Return whether the trip keeps its cold limits.

    `cold_enough` answers for an insertion, so the last order is unlinked for the moment and asked about.
    """
    row = tours.trip[trip]
    order, window = row[TAIL], 0
    after = tours.stop[order, PREV]
    # The row holds the window's opening only: find its number.
    while fleet.windows[order, window, 0] != tours.stop[order, OPENS]:
        window += 1
    if after:
        tours.stop[after, NEXT] = 0
    kind, start, rest = fleet.kind[vehicle], int64(row[START]), trip if after else int64(-1)
    kept = cold_enough(fleet, tours, order, window, rest, after, kind, start, row[HOME])
    if after:
        tours.stop[after, NEXT] = order
    return kept
