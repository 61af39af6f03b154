"""Moves of whole trips and days, and whether a day is allowed."""

from __future__ import annotations

from services.dispatch.planning.search.kernel.cold import cold_enough
from services.dispatch.planning.search.kernel.fleet import FAR, Array, Fleet, Whole, wide
from services.dispatch.planning.search.kernel.jit import inline, njit
from services.dispatch.planning.search.kernel.recreate import below, draw
from services.dispatch.planning.search.kernel.tours import (
    BEGIN,
    CHILLY,
    HEAD,
    HOME,
    LAST,
    LATEST,
    LEAVES,
    NEXT,
    OPENS,
    PREV,
    ROOM,
    TAIL,
    VEHICLE,
    Tours,
    take_out,
    update,
)


@inline
def _used(tours: Tours, rng: Array) -> Whole:
    """A vehicle that has trips."""
    vehicles = tours.count.shape[0]
    v = below(rng, vehicles)
    while tours.count[v] == 0:
        v = (v + 1) % vehicles
    return v


@inline
def whole(fleet: Fleet, tours: Tours, rng: Array, touched: Array, marked: Array) -> Whole:
    """Takes a whole day out, or one trip of it: few other ways lead to a vehicle less."""
    v = _used(tours, rng)
    trips = tours.count[v]
    only = below(rng, 2 * trips)
    for j in range(trips - 1, -1, -1):
        if only == j or only >= trips:
            i = tours.trip[tours.trips[v, j], HEAD]
            while i:
                after = tours.order[i, NEXT]
                take_out(fleet, tours, i)
                i = after
    update(fleet, tours, v)
    marked[v] = True
    touched[0] = v
    return wide(1)


@njit
def exchange(fleet: Fleet, tours: Tours, rng: Array, touched: Array, marked: Array) -> Whole:
    """Two vehicles exchange all their trips from some on, or one trip for one or none. Returns how many are touched:
    none where that is not allowed."""
    v, w = _used(tours, rng), below(rng, tours.count.shape[0])
    k, m = tours.count[v], tours.count[w]
    a, b = below(rng, k), below(rng, m + 1)
    if draw(rng) < 0.5:
        give, take = k - a, m - b
    else:
        give, take = wide(1), min(below(rng, 2), m - b)
    if v == w or k - give + take > fleet.max_trips or m - take + give > fleet.max_trips:
        return wide(0)
    _swap(fleet, tours, v, a, give, w, b, take)
    if not (allowed(fleet, tours, v) and allowed(fleet, tours, w)):
        _swap(fleet, tours, v, a, take, w, b, give)
        return wide(0)
    marked[v] = marked[w] = True
    touched[0], touched[1] = v, w
    return wide(2)


@njit
def _swap(fleet: Fleet, tours: Tours, v: Whole, a: Whole, give: Whole, w: Whole, b: Whole, take: Whole) -> None:
    mine, theirs = tours.trips[v, : tours.count[v]].copy(), tours.trips[w, : tours.count[w]].copy()
    _drive(fleet, tours, v, mine, theirs, a, give, b, take)
    _drive(fleet, tours, w, theirs, mine, b, take, a, give)
    update(fleet, tours, v)
    update(fleet, tours, w)


@inline
def _drive(
    fleet: Fleet, tours: Tours, v: Whole, mine: Array, theirs: Array, a: Whole, give: Whole, b: Whole, take: Whole
) -> None:
    """Gives v the trips `mine`, but `theirs[b : b + take]` for `mine[a : a + give]`."""
    for q in range(take):
        t = theirs[b + q]
        trip = tours.trip[t]
        before = trip[VEHICLE]
        trip[VEHICLE] = v
        trip[ROOM] += fleet.room[v, 0] - fleet.room[before, 0]
        trip[ROOM + 1] += fleet.room[v, 1] - fleet.room[before, 1]
        tours.trips[v, a + q] = t
    for q in range(a + give, mine.shape[0]):
        tours.trips[v, q - give + take] = mine[q]
    tours.count[v] = mine.shape[0] - give + take


@njit
def allowed(fleet: Fleet, tours: Tours, v: Whole) -> bool:
    """Whether the day of v, its times worked out, keeps skills, loads, times and cold limits."""
    for j in range(tours.count[v]):
        t = tours.trips[v, j]
        trip = tours.trip[t]
        if trip[ROOM] < 0 or trip[ROOM + 1] < 0 or trip[LEAVES] > trip[LAST]:
            return False
        i = trip[HEAD]
        while i:
            if tours.order[i, BEGIN] > tours.order[i, LATEST] or not fleet.able[fleet.group[v], i]:
                return False
            i = tours.order[i, NEXT]
        if trip[CHILLY] < FAR and not _cold(fleet, tours, t, v):
            return False
    return True


@njit
def _cold(fleet: Fleet, tours: Tours, t: Whole, v: Whole) -> bool:
    """Whether the trip keeps its cold limits: looks at it without its last order, and that one put in."""
    trip = tours.trip[t]
    c, w = trip[TAIL], 0
    after = tours.order[c, PREV]
    while fleet.windows[c, w, 0] != tours.order[c, OPENS]:
        w += 1
    if after:
        tours.order[after, NEXT] = 0
    kept = cold_enough(
        fleet, tours, c, w, t if after else wide(-1), after, fleet.kind[v], wide(trip[LEAVES]), trip[HOME]
    )
    if after:
        tours.order[after, NEXT] = c
    return kept
