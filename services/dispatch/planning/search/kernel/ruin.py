"""Ruin and recreate with annealing: removes strings of near orders, inserts them again, keeps good tours.

Source: Christiaens and Vanden Berghe, "Slack Induction by String Removals for Vehicle Routing Problems" (2020). A
string is a run of consecutive stops of one trip.
"""

from __future__ import annotations

import numpy as np

from services.dispatch.planning.search.kernel.fleet import LOAD, Array, Fleet, Int, int64
from services.dispatch.planning.search.kernel.jit import inline, njit
from services.dispatch.planning.search.kernel.recreate import below, draw, insert, window_at
from services.dispatch.planning.search.kernel.tails import exchange_tails
from services.dispatch.planning.search.kernel.tours import (
    CLOSES,
    COST,
    EARLIEST,
    FREE,
    HEAD,
    NEXT,
    OPENS,
    PREV,
    SIZE,
    TAIL,
    TRIP,
    UNSERVED,
    VEHICLE,
    Tours,
    copy,
    copy_days,
    link,
    new_trip,
    remove,
    update,
)
from services.dispatch.planning.search.kernel.trips import exchange_trips, feasible, remove_day

LONGEST, SPLIT = 10, 0.5
"""From the paper: the longest string; the probability that a string is split around stops that stay, and that one more
stop stays."""
FEW = 64
"""Up to so many orders, sorting by insertion is faster than numpy's sort."""
TAILS = 0.5
"""With one trip a day: the part of the rounds that exchanges ends (docs/experiments/planning.md#exchange-of-ends)."""
DAY, TRIPS, MANY_TAILS, TIMELY = 0.02, 0.05, 0.2, 0.5
"""With several trips a day: the part of the rounds that removes a whole trip or day, exchanges trips, exchanges ends,
and, of the strings, removes orders near in place and time rather than in place alone
(docs/experiments/planning.md#removals, docs/experiments/planning.md#exchange-of-ends)."""
FOCUSED, BESIDE = 0.5, 20
"""With a focus: the part of the rounds that removes it; strings then begin at one of so many best neighbours
(docs/experiments/planning.md#late-orders)."""


@njit
def ruin(
    fleet: Fleet, tours: Tours, rng: Array, mean: float, slack: float, hit: Array, marked: Array, touched: Array
) -> Int:
    """Remove `mean` orders on average around a random order, or around the fleet's focus; or move trips or ends.

    `slack` is the cost that a round may add. `hit` is scratch memory, bool [trip]. Sets `marked` (bool [vehicle]) and
    lists the touched vehicles in `touched`; returns their number.
    """
    n, trips = fleet.neighbours.shape[0] - 1, hit.shape[0] - tours.totals[FREE]
    if trips <= 0:
        return 0
    timely = fleet.focus > 0
    if not timely:
        moved = _move_trips(fleet, tours, rng, slack, marked, touched)
        if moved >= 0:
            return moved
        timely = fleet.max_trips > 1 and draw(rng) < TIMELY
    # The paper's sizes: no string longer than the average trip; so many strings that `mean` orders are removed.
    longest = min(float(LONGEST), (n - tours.totals[UNSERVED]) / trips)
    strings = int64(draw(rng) * (4 * mean / (1 + longest) - 1) + 1)
    hit[:] = False
    seed, count = 1 + below(rng, n), int64(0)
    if fleet.focus and draw(rng) < FOCUSED:
        seed, count = _remove_focus(fleet, tours, rng, marked, touched)
    # From the seed outwards: each order that is met gives a string of its trip, one for each trip.
    for index in range(fleet.neighbours.shape[1] if timely else fleet.nearest.shape[1]):
        # `nearest` begins with the order itself, `neighbours` does not.
        order = (
            fleet.nearest[seed, index] if not timely else fleet.neighbours[seed, index - 1] if index else int64(seed)
        )
        trip = tours.stop[order, TRIP]
        if order == 0 or strings == 0:
            break
        if trip < 0 or hit[trip]:
            continue
        hit[trip] = True
        strings -= 1
        vehicle = tours.trip[trip, VEHICLE]
        if not marked[vehicle]:
            marked[vehicle] = True
            touched[count] = vehicle
            count += 1
        length = int64(draw(rng) * min(float(tours.trip[trip, SIZE]), longest) + 1)
        _remove_string(fleet, tours, rng, order, min(length, int64(tours.trip[trip, SIZE])))
    for index in range(count):
        update(fleet, tours, touched[index])
    return count


@inline
def _move_trips(fleet: Fleet, tours: Tours, rng: Array, slack: float, marked: Array, touched: Array) -> Int:
    """Exchange ends, or remove or exchange whole trips, with the probabilities above. Return the number of touched
    vehicles, or -1 when this round is to remove strings. An exchange of ends adds less than `slack`."""
    many, dice = fleet.max_trips > 1, draw(rng)
    if dice < (MANY_TAILS if many else TAILS):
        return exchange_tails(fleet, tours, rng, slack, touched, marked)
    dice = draw(rng)
    if many and dice < DAY:
        return remove_day(fleet, tours, rng, touched, marked)
    if many and dice < DAY + TRIPS:
        return exchange_trips(fleet, tours, rng, touched, marked)
    return int64(-1)


@inline
def _remove_focus(fleet: Fleet, tours: Tours, rng: Array, marked: Array, touched: Array) -> tuple[Int, Int]:
    """Remove the focus. Return an order near it in place and time, and the number of touched vehicles."""
    focus, count = int64(fleet.focus), int64(0)
    if tours.stop[focus, TRIP] >= 0:
        vehicle = remove(fleet, tours, focus)
        marked[vehicle] = True
        touched[0] = vehicle
        count += 1
    near = int64(fleet.neighbours[focus, below(rng, min(BESIDE, fleet.neighbours.shape[1]))])
    return near if near else focus, count


@inline
def _remove_string(fleet: Fleet, tours: Tours, rng: Array, order: Int, length: Int) -> None:
    """Remove `length` orders of the order's trip: a run that holds the order, or one split around stops that stay."""
    trip = tours.stop[order, TRIP]
    size, kept = tours.trip[trip, SIZE], 0
    # Split string: `kept` stops in its middle stay.
    if 1 < length < size and draw(rng) < SPLIT:
        kept = 1
        while length + kept < size and draw(rng) < SPLIT:
            kept += 1
    span = length + kept
    # Position of the order in its trip.
    at, stop = 0, tours.stop[order, PREV]
    while stop:
        at, stop = at + 1, tours.stop[stop, PREV]
    # The span begins anywhere such that it holds the order and lies within the trip.
    low, high = max(0, at - span + 1), min(at, size - span)
    first = low + below(rng, high - low + 1)
    stop = tours.trip[trip, HEAD]
    for _ in range(first):
        stop = tours.stop[stop, NEXT]
    # Stops kept..: from index `gap` of the span; behind the span's end when none is kept.
    gap = 1 + below(rng, length - 1) if kept else span
    for index in range(span):
        behind = tours.stop[stop, NEXT]
        if not gap <= index < gap + kept:
            remove(fleet, tours, stop)
        stop = behind


@inline
def _sort(fleet: Fleet, tours: Tours, rng: Array, keys: Array, queue: Array) -> Int:
    """Write the unserved orders into `queue`, sorted by a measure chosen at random; return their number.

    Of 17 draws: 4 random, 4 heaviest first (one of both loads), 2 farthest and 1 nearest to the station first, 2
    shortest first window first, 2 earliest opening first, 2 latest closing first.
    """
    count, measure, last = tours.totals[UNSERVED], below(rng, 17), fleet.windows.shape[1] - 1
    for index in range(count):
        order = tours.unserved[index]
        if measure < 4:
            key = draw(rng)
        elif measure < 8:
            key = -float(fleet.demand[order, LOAD + measure % 2])
        elif measure < 11:
            key = float(fleet.cost[0, 0, order]) if measure == 10 else -float(fleet.cost[0, 0, order])
        elif measure < 13:
            key = float(fleet.windows[order, 0, 1] - fleet.windows[order, 0, 0])
        elif measure < 15:
            key = float(fleet.windows[order, 0, 0])
        else:
            key = -float(fleet.windows[order, last, 1])
        if count > FEW:
            keys[index] = key
            continue
        # Insertion sort, stable.
        at = index
        while at > 0 and keys[at - 1] > key:
            keys[at], queue[at] = keys[at - 1], queue[at - 1]
            at -= 1
        keys[at], queue[at] = key, order
    if count > FEW:
        rank = np.argsort(keys[:count])
        for index in range(count):
            queue[index] = tours.unserved[rank[index]]
    return count


@njit
def recreate(
    fleet: Fleet,
    tours: Tours,
    rng: Array,
    keys: Array,
    queue: Array,
    seen: Array,
    marked: Array,
    touched: Array,
    count: int,
) -> Int:
    """Insert the unserved orders where they add least.

    `touched[:count]` are the vehicles touched before; returns how many are touched now, and clears `marked`. `keys`
    (float64), `queue` (int32) and `seen` (bool [group]) are scratch memory.
    """
    left = 0
    for index in range(_sort(fleet, tours, rng, keys, queue)):
        vehicle = insert(fleet, tours, queue[index], rng, seen)
        if vehicle < 0:
            # `queue` holds a copy of all, so `unserved` can be filled again from its beginning.
            tours.unserved[left] = queue[index]
            left += 1
        elif not marked[vehicle]:
            marked[vehicle] = True
            touched[count] = vehicle
            count += 1
    tours.totals[UNSERVED] = left
    for index in range(count):
        marked[touched[index]] = False
    return count


@njit
def anneal(
    fleet: Fleet, now: Tours, trial: Tours, best: Tours, rng: Array, rounds: Int, heat: float, mean: float
) -> None:
    """Ruin and recreate `rounds` times; worse tours are kept with the probability that `heat` (in cost) gives them.

    `now` and `trial` are equal before and after; `best` becomes the cheapest tours met.
    """
    hit, marked = np.zeros(now.trip.shape[0], np.bool_), np.zeros(now.trip_count.shape[0], np.bool_)
    touched, seen = np.zeros(now.trip_count.shape[0], np.int32), np.zeros(fleet.may_serve.shape[0], np.bool_)
    keys, queue = np.zeros(now.unserved.shape[0]), np.zeros(now.unserved.shape[0], np.int32)
    top = False  # `now` is cheaper than `best` and not copied yet
    for _ in range(rounds):
        # The Metropolis rule, drawn first: the cost that this round may add. So a move can be given up early.
        slack = -heat * np.log(1 - draw(rng))
        count = ruin(fleet, trial, rng, mean, slack, hit, marked, touched)
        count = recreate(fleet, trial, rng, keys, queue, seen, marked, touched, count)
        if trial.totals[COST] < now.totals[COST] + slack:
            # Copying all is dear, so `best` is written only when the search is about to leave it.
            if top and trial.totals[COST] > now.totals[COST]:
                copy(now, best)
                top = False
            copy_days(trial, now, touched, count)
            if now.totals[COST] < best.totals[COST]:
                top = True
        else:
            copy_days(now, trial, touched, count)  # rejected: undo
    if top:
        copy(now, best)


@njit
def fill(fleet: Fleet, tours: Tours, rows: Array) -> None:
    """Put given trips into empty tours: int64 [n, 3] of (vehicle, trip number, order) in driving order.

    Orders that break a rule there stay unserved; of a day that breaks one, the last orders are removed until it does
    not.
    """
    for index in range(rows.shape[0]):
        vehicle, position, order = rows[index, 0], rows[index, 1], rows[index, 2]
        if not fleet.may_serve[fleet.group[vehicle], order] or position >= fleet.max_trips:
            continue
        count = tours.trip_count[vehicle]
        trip = tours.trips[vehicle, position] if position < count else new_trip(fleet, tours, vehicle, count)
        link(fleet, tours, order, trip, tours.trip[trip, TAIL])
        _choose_window(fleet, tours, order, vehicle)
    # `link` leaves `unserved` to its caller: list what is left.
    tours.totals[UNSERVED] = 0
    for order in range(1, fleet.neighbours.shape[0]):
        if tours.stop[order, TRIP] < 0:
            tours.unserved[tours.totals[UNSERVED]] = order
            tours.totals[UNSERVED] += 1
    for vehicle in range(tours.trip_count.shape[0]):
        while not feasible(fleet, tours, vehicle):
            remove(fleet, tours, tours.trip[tours.trips[vehicle, tours.trip_count[vehicle] - 1], TAIL])
            update(fleet, tours, vehicle)


@njit
def _choose_window(fleet: Fleet, tours: Tours, order: Int, vehicle: Int) -> None:
    """Choose the first window that is open or to come when the order, last of its vehicle's day, is reached."""
    tours.stop[order, OPENS] = tours.stop[order, CLOSES] = 0  # no waiting: EARLIEST becomes the arrival
    update(fleet, tours, vehicle)
    window = max(0, window_at(fleet, order, tours.stop[order, EARLIEST]))
    tours.stop[order, OPENS] = fleet.windows[order, window, 0]
    tours.stop[order, CLOSES] = fleet.windows[order, window, 1]
    update(fleet, tours, vehicle)


@njit
def complete(fleet: Fleet, tours: Tours, rng: Array) -> None:
    """Insert every unserved order that fits."""
    seen, marked = np.zeros(fleet.may_serve.shape[0], np.bool_), np.zeros(tours.trip_count.shape[0], np.bool_)
    touched = np.zeros(tours.trip_count.shape[0], np.int32)
    keys, queue = np.zeros(tours.unserved.shape[0]), np.zeros(tours.unserved.shape[0], np.int32)
    recreate(fleet, tours, rng, keys, queue, seen, marked, touched, 0)
