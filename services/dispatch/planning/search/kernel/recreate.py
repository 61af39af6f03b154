"""Inserts unserved orders again, each where it adds least; now and then skips the best position on purpose (a "blink").

Source: Christiaens and Vanden Berghe, "Slack Induction by String Removals for Vehicle Routing Problems" (2020). Two
things differ: positions are tried only beside neighbouring orders, and a trip of its own goes where it leaves
most time.
"""

from __future__ import annotations

import numpy as np

from services.dispatch.planning.search.kernel.cold import cold_enough
from services.dispatch.planning.search.kernel.fleet import COLD, FAR, LOAD, RELEASE, SERVICE, Array, Fleet, Int, int64
from services.dispatch.planning.search.kernel.jit import inline
from services.dispatch.planning.search.kernel.tours import (
    CLOSES,
    COLD_LIMIT,
    COLD_SLACK,
    DUE,
    DURATION,
    EARLIEST,
    ELAPSED,
    FREE_LOAD,
    HEAD,
    HOME,
    HOME_COST,
    LATEST,
    LATEST_START,
    LEG_COST,
    NEXT,
    OPENS,
    PREV,
    RETURN,
    START,
    START_BOUND,
    TAIL,
    TRIP,
    VEHICLE,
    Tours,
    link,
    new_trip,
    update,
)

BLINK = 0.01
"""Probability of a blink, from the paper."""


@inline
def draw(rng: Array) -> float:
    """Return a random number in 0..1 (xorshift64; `rng` is uint64 [1], its state)."""
    x = rng[0]
    x ^= x << np.uint64(13)
    x ^= x >> np.uint64(7)
    x ^= x << np.uint64(17)
    rng[0] = x
    return np.float64(x >> np.uint64(11)) * 2.0**-53


@inline
def below(rng: Array, n: Int) -> Int:
    """Return a random integer in 0..n-1."""
    return int64(draw(rng) * n)


@inline
def until_blink(rng: Array) -> Int:
    """Return how many good positions are accepted until one is skipped: one geometric draw instead of many coins."""
    return int64(np.log(1 - draw(rng)) / np.log(1 - BLINK))


@inline
def window_at(fleet: Fleet, order: Int, moment: Int) -> Int:
    """Return the first window of the order that is not over at the moment; -1 for none."""
    for window in range(fleet.windows.shape[1]):
        if moment <= fleet.windows[order, window, 1]:
            return window
    return -1


@inline
def _beside(fleet: Fleet, tours: Tours, order: Int, rng: Array) -> tuple[Int, Int, Int, Int]:
    """Return the cheapest position in an existing trip: (added cost, trip or -1, order before it or 0, window)."""
    best, best_trip, best_after, best_window = fleet.skip_cost[order], -1, 0, 0
    accepted_left, demand = until_blink(rng), fleet.demand[order]
    for n in range(fleet.neighbours.shape[1]):
        neighbour = fleet.neighbours[order, n]
        if neighbour == 0:  # end of the list
            break
        trip = tours.stop[neighbour, TRIP]
        if trip < 0:
            continue
        row = tours.trip[trip]
        if demand[LOAD] > row[FREE_LOAD] or demand[LOAD + 1] > row[FREE_LOAD + 1]:
            continue
        vehicle = row[VEHICLE]
        if not fleet.may_serve[fleet.group[vehicle], order]:
            continue
        # Behind the neighbour; its leg lies in the compact lists, which the cache holds.
        kind, after = fleet.kind[vehicle], neighbour
        leg_cost, leg = fleet.neighbour_cost[kind, order, n], fleet.neighbour_time[kind, order, n]
        while True:
            behind = tours.stop[after, NEXT] if after else row[HEAD]
            # The two new legs instead of the old one.
            added = int64(leg_cost) - (tours.stop[behind, LEG_COST] if behind else row[HOME_COST])
            added += fleet.cost[kind, order, behind if behind else row[HOME]]
            # Cost first: most positions are too dear, and the check of times is the slower one.
            if added < best:
                window = _window_between(fleet, tours, order, trip, kind, after, behind, leg)
                if window >= 0 and accepted_left > 0:
                    accepted_left -= 1
                    best, best_trip, best_after, best_window = added, trip, after, window
                elif window >= 0:
                    accepted_left = until_blink(rng)  # a blink: this position is skipped
            if after == 0 or tours.stop[after, PREV]:
                break
            # The neighbour is the first of its trip: try before it, too, which nothing else would.
            after = 0
            leg_cost, leg = fleet.cost[kind, 0, order], fleet.time[kind, 0, order]
    return best, best_trip, best_after, best_window


@inline
def _window_between(
    fleet: Fleet, tours: Tours, order: Int, trip: Int, kind: Int, after: Int, behind: Int, leg: Int
) -> Int:
    """Return the window in which the order can be served between `after`, `leg` seconds away, and `behind`; -1 when a
    rule forbids it. Constant time but for cold limits."""
    row, release = tours.trip[trip], fleet.demand[order, RELEASE]
    start = int64(row[START])
    if after:
        stop = tours.stop[after]
        clock = int64(stop[EARLIEST])
        if release > start:
            # The order's goods come later than the trip would start: it delays all stops before.
            if release > stop[START_BOUND]:
                return -1
            start = int64(release)
            # Waiting absorbs a part of the delay: without any, `after` would begin ELAPSED seconds behind the start.
            clock = max(clock, start + stop[ELAPSED])
        clock += stop[DURATION]
    else:
        start = max(start, release)
        clock = start + fleet.load_s
    clock += leg
    window = window_at(fleet, order, clock)
    if window < 0:
        return -1
    clock = max(clock, fleet.windows[order, window, 0]) + fleet.demand[order, SERVICE]
    # All stops behind keep their rules if the next one is reached by its latest time.
    clock += fleet.time[kind, order, behind if behind else row[HOME]]
    if clock > (tours.stop[behind, LATEST] if behind else row[DUE]):
        return -1
    if min(row[COLD_LIMIT], fleet.demand[order, COLD]) >= FAR:
        return window
    # Cold limits. A quick no first, with the seconds that pass even without any waiting ...
    elapsed = leg + (tours.stop[after, ELAPSED] + tours.stop[after, DURATION] if after else fleet.load_s)
    if elapsed - fleet.load_s > fleet.demand[order, COLD]:
        return -1
    if behind:
        elapsed += fleet.demand[order, SERVICE] + fleet.time[kind, order, behind]
        if elapsed - tours.stop[behind, ELAPSED] > tours.stop[behind, COLD_SLACK]:
            return -1
    # ... then the exact answer, stop by stop.
    return window if cold_enough(fleet, tours, order, window, trip, after, kind, start, row[HOME]) else -1


@inline
def _alone(fleet: Fleet, tours: Tours, order: Int, best: Int, seen: Array) -> tuple[Int, Int, Int, Int]:
    """Return the cheapest trip of its own that adds less than `best`, of equal ones the one with most time to spare:
    (added cost, vehicle or -1, position among its trips, window). `seen` is scratch memory, bool [group]."""
    best_vehicle, best_position, best_window, most_spare = -1, 0, 0, int64(-1)
    seen[:] = False
    for vehicle in range(tours.trip_count.shape[0]):
        trips, group = tours.trip_count[vehicle], fleet.group[vehicle]
        if trips == fleet.max_trips or not fleet.may_serve[group, order]:
            continue
        if trips == 0:
            # Idle vehicles of a group are all alike: one is enough.
            if seen[group]:
                continue
            seen[group] = True
        # Anywhere before the end of the day the trip adds the same two legs. Where those are too dear, only the
        # last position can pay, as it may spare a leg to the courier's own end place.
        first = int64(0)
        if trips and fleet.cost[fleet.kind[vehicle], 0, order] + fleet.cost[fleet.kind[vehicle], order, 0] > best:
            if fleet.home[vehicle] == 0:
                continue
            first = trips
        for position in range(first, trips + 1):
            before = tours.trips[vehicle, position - 1]  # meaningless for position 0
            clock = int64(tours.trip[before, RETURN] if position else fleet.shift_start[vehicle])
            added, spare, window = _own_trip(fleet, tours, order, vehicle, position, clock, best)
            if window >= 0 and (added < best or (added == best and best_vehicle >= 0 and spare > most_spare)):
                best, best_vehicle, best_position, best_window, most_spare = added, vehicle, position, window, spare
    return best, best_vehicle, best_position, best_window


@inline
def _own_trip(
    fleet: Fleet, tours: Tours, order: Int, vehicle: Int, position: Int, clock: Int, best: Int
) -> tuple[Int, Int, Int]:
    """Try the order alone in a new trip number `position` of the vehicle, which is free at `clock`: (added cost,
    seconds to spare, window or -1). The window is also -1 when it adds more than `best`."""
    trips, kind = tours.trip_count[vehicle], fleet.kind[vehicle]
    added, home, due = int64(fleet.cost[kind, 0, order]), 0, int64(fleet.shift_end[vehicle])
    if position < trips:
        due = int64(tours.trip[tours.trips[vehicle, position], LATEST_START])
    else:
        # It becomes the last trip and ends at the courier's own place, the one before it at the station.
        home = fleet.home[vehicle]
        if trips == 0:
            added += fleet.fixed_cost[vehicle]
        elif home:
            before = tours.trip[tours.trips[vehicle, trips - 1], TAIL]
            added += fleet.cost[kind, before, 0] - fleet.cost[kind, before, home]
    added += fleet.cost[kind, order, home]
    if added > best:
        return added, int64(0), -1
    start = max(clock, fleet.demand[order, RELEASE])
    begin = start + fleet.load_s + fleet.time[kind, 0, order]
    window = window_at(fleet, order, begin)
    if window < 0:
        return added, int64(0), -1
    begin = max(begin, fleet.windows[order, window, 0])
    spare = due - (begin + fleet.demand[order, SERVICE] + fleet.time[kind, order, home])
    if spare < 0:
        return added, spare, -1
    if fleet.demand[order, COLD] < FAR and not cold_enough(fleet, tours, order, window, -1, 0, kind, start, home):
        return added, spare, -1
    # Time behind the trip, and as much of it as the order itself could be served later.
    return added, spare + min(spare, fleet.windows[order, window, 1] - begin), window


@inline
def insert(fleet: Fleet, tours: Tours, order: Int, rng: Array, seen: Array) -> Int:
    """Insert the order where it adds least. Return the vehicle, or -1 when it fits nowhere or skipping it is cheaper.

    The caller removes it from `unserved`. `seen` is scratch memory, bool [group].
    """
    best, trip, after, best_window = _beside(fleet, tours, order, rng)
    # A trip of its own is tried only where its lower bound beats the best position.
    if best > fleet.alone_cost[order]:
        _, vehicle, position, window = _alone(fleet, tours, order, best, seen)
        if vehicle >= 0:
            trip, after, best_window = new_trip(fleet, tours, vehicle, position), 0, window
    if trip < 0:
        return -1
    tours.stop[order, OPENS] = fleet.windows[order, best_window, 0]
    tours.stop[order, CLOSES] = fleet.windows[order, best_window, 1]
    link(fleet, tours, order, trip, after)
    vehicle = tours.trip[trip, VEHICLE]
    update(fleet, tours, vehicle)
    return vehicle
