"""Takes strings of near orders out of near trips, puts them back, and anneals: the search itself.

After Christiaens and Vanden Berghe, "Slack Induction by String Removals for Vehicle Routing Problems" (2020). A string
is a run of stops of one trip.
"""

from __future__ import annotations

import numpy as np

from services.dispatch.planning.search.kernel.fleet import LOAD, Array, Fleet, Whole, wide
from services.dispatch.planning.search.kernel.jit import inline, njit
from services.dispatch.planning.search.kernel.recreate import below, draw, insert, window
from services.dispatch.planning.search.kernel.tails import tails
from services.dispatch.planning.search.kernel.tours import (
    BEGIN,
    HEAD,
    NEXT,
    OPENS,
    PREV,
    SHUTS,
    SIZE,
    TAIL,
    TRIP,
    VEHICLE,
    Tours,
    copy,
    follow,
    new_trip,
    put_in,
    take_out,
    update,
)
from services.dispatch.planning.search.kernel.trips import allowed, exchange, whole

STRING, SPLIT, FEW = 10, 0.5, 64
"""Longest string; how often one is taken out around some stops that stay; so few are sorted by insertion."""
ENDS = 0.5
"""With one trip a day: how often two trips exchange their ends instead."""
WHOLE, EXCHANGE, MANY_ENDS, TIMELY = 0.02, 0.05, 0.2, 0.5
"""With several: how often a whole trip or day goes out, trips change vehicles, their ends do, and what goes out is
near in place and time, not in place alone."""
FOCUSED, BESIDE = 0.5, 20
"""In a search for one order: how often it goes out, and others beginning at one of so many near in place and time."""


@njit
def ruin(
    fleet: Fleet, tours: Tours, rng: Array, mean: float, slack: float, hit: Array, marked: Array, touched: Array
) -> Whole:
    """Takes some `mean` orders out around a random one, or the fleet's focus and some around it. Returns how many
    vehicles are touched."""
    n, trips = fleet.near.shape[0] - 1, hit.shape[0] - tours.sums[2]
    if trips <= 0:
        return 0
    timely = fleet.focus > 0
    if not timely:
        moved = _trips(fleet, tours, rng, slack, marked, touched)
        if moved >= 0:
            return moved
        timely = fleet.max_trips > 1 and draw(rng) < TIMELY
    longest = min(float(STRING), (n - tours.sums[1]) / trips)
    strings = wide(draw(rng) * (4 * mean / (1 + longest) - 1) + 1)
    hit[:] = False
    seed, k = 1 + below(rng, n), wide(0)
    if fleet.focus and draw(rng) < FOCUSED:
        seed, k = _focused(fleet, tours, rng, marked, touched)
    for q in range(fleet.near.shape[1] if timely else fleet.nearest.shape[1]):
        c = fleet.nearest[seed, q] if not timely else fleet.near[seed, q - 1] if q else wide(seed)
        t = tours.order[c, TRIP]
        if c == 0 or strings == 0:
            break
        if t < 0 or hit[t]:
            continue
        hit[t] = True
        strings -= 1
        v = tours.trip[t, VEHICLE]
        if not marked[v]:
            marked[v] = True
            touched[k] = v
            k += 1
        length = wide(draw(rng) * min(float(tours.trip[t, SIZE]), longest) + 1)
        _string(fleet, tours, rng, c, min(length, wide(tours.trip[t, SIZE])))
    for q in range(k):
        update(fleet, tours, touched[q])
    return k


@inline
def _trips(fleet: Fleet, tours: Tours, rng: Array, slack: float, marked: Array, touched: Array) -> Whole:
    """Now and then moves trips or their ends instead: how many vehicles are touched, -1 where it is time for strings.
    Ends that are exchanged add less than `slack`."""
    many, dice = fleet.max_trips > 1, draw(rng)
    if dice < (MANY_ENDS if many else ENDS):
        return tails(fleet, tours, rng, slack, touched, marked)
    dice = draw(rng)
    if many and dice < WHOLE:
        return whole(fleet, tours, rng, touched, marked)
    if many and dice < WHOLE + EXCHANGE:
        return exchange(fleet, tours, rng, touched, marked)
    return wide(-1)


@inline
def _focused(fleet: Fleet, tours: Tours, rng: Array, marked: Array, touched: Array) -> tuple[Whole, Whole]:
    """Takes the focus out. Returns an order near it in place and time, and how many vehicles are touched."""
    c, k = wide(fleet.focus), wide(0)
    if tours.order[c, TRIP] >= 0:
        v = take_out(fleet, tours, c)
        marked[v] = True
        touched[0] = v
        k += 1
    near = wide(fleet.near[c, below(rng, min(BESIDE, fleet.near.shape[1]))])
    return near if near else c, k


@inline
def _string(fleet: Fleet, tours: Tours, rng: Array, c: Whole, length: Whole) -> None:
    """Takes `length` orders of the trip of c out, c among them or in the kept middle."""
    t = tours.order[c, TRIP]
    size, kept = tours.trip[t, SIZE], 0
    if 1 < length < size and draw(rng) < SPLIT:
        kept = 1
        while length + kept < size and draw(rng) < SPLIT:
            kept += 1
    span = length + kept
    at, i = 0, tours.order[c, PREV]
    while i:
        at, i = at + 1, tours.order[i, PREV]
    low, high = max(0, at - span + 1), min(at, size - span)
    first = low + below(rng, high - low + 1)
    i = tours.trip[t, HEAD]
    for _ in range(first):
        i = tours.order[i, NEXT]
    gap = 1 + below(rng, length - 1) if kept else span
    for x in range(span):
        after = tours.order[i, NEXT]
        if not gap <= x < gap + kept:
            take_out(fleet, tours, i)
        i = after


@inline
def _sort(fleet: Fleet, tours: Tours, rng: Array, key: Array, order: Array) -> Whole:
    """The orders left out into `order`, by one of several measures. Returns how many."""
    k, by, w = tours.sums[1], below(rng, 17), fleet.windows.shape[1] - 1
    for q in range(k):
        c = tours.out[q]
        if by < 4:
            x = draw(rng)
        elif by < 8:
            x = -float(fleet.order[c, LOAD + by % 2])
        elif by < 11:
            x = float(fleet.cost[0, 0, c]) if by == 10 else -float(fleet.cost[0, 0, c])
        elif by < 13:
            x = float(fleet.windows[c, 0, 1] - fleet.windows[c, 0, 0])
        elif by < 15:
            x = float(fleet.windows[c, 0, 0])
        else:
            x = -float(fleet.windows[c, w, 1])
        if k > FEW:
            key[q] = x
            continue
        at = q
        while at > 0 and key[at - 1] > x:
            key[at], order[at] = key[at - 1], order[at - 1]
            at -= 1
        key[at], order[at] = x, c
    if k > FEW:
        rank = np.argsort(key[:k])
        for q in range(k):
            order[q] = tours.out[rank[q]]
    return k


@njit
def recreate(
    fleet: Fleet, tours: Tours, rng: Array, key: Array, order: Array, seen: Array, marked: Array, touched: Array, k: int
) -> Whole:
    """Puts back what is out. `touched[:k]` are the vehicles touched before; returns how many are now, unmarked."""
    left = 0
    for q in range(_sort(fleet, tours, rng, key, order)):
        v = insert(fleet, tours, order[q], rng, seen)
        if v < 0:
            tours.out[left] = order[q]
            left += 1
        elif not marked[v]:
            marked[v] = True
            touched[k] = v
            k += 1
    tours.sums[1] = left
    for q in range(k):
        marked[touched[q]] = False
    return k


@njit
def anneal(
    fleet: Fleet, now: Tours, trial: Tours, best: Tours, rng: Array, rounds: Whole, heat: float, mean: float
) -> None:
    """Ruins and recreates `rounds` times; worse tours are kept as `heat` (in cost) lets them. `now` and `trial` are
    equal before and after; `best` is kept up."""
    hit, marked = np.zeros(now.trip.shape[0], np.bool_), np.zeros(now.count.shape[0], np.bool_)
    touched, seen = np.zeros(now.count.shape[0], np.int32), np.zeros(fleet.able.shape[0], np.bool_)
    key, order = np.zeros(now.out.shape[0]), np.zeros(now.out.shape[0], np.int32)
    top = False
    for _ in range(rounds):
        slack = -heat * np.log(1 - draw(rng))
        k = ruin(fleet, trial, rng, mean, slack, hit, marked, touched)
        k = recreate(fleet, trial, rng, key, order, seen, marked, touched, k)
        if trial.sums[0] < now.sums[0] + slack:
            if top and trial.sums[0] > now.sums[0]:
                copy(now, best)
                top = False
            follow(trial, now, touched, k)
            if now.sums[0] < best.sums[0]:
                top = True
        else:
            follow(now, trial, touched, k)
    if top:
        copy(now, best)


@njit
def fill(fleet: Fleet, tours: Tours, rows: Array) -> None:
    """Drives given trips: rows of (vehicle, trip, order) in order of driving. Days that break a rule are left out."""
    for q in range(rows.shape[0]):
        v, j, c = rows[q, 0], rows[q, 1], rows[q, 2]
        if not fleet.able[fleet.group[v], c] or j >= fleet.max_trips:
            continue
        t = tours.trips[v, j] if j < tours.count[v] else new_trip(fleet, tours, v, tours.count[v])
        put_in(fleet, tours, c, t, tours.trip[t, TAIL])
        _choose_window(fleet, tours, c, v)
    tours.sums[1] = 0
    for c in range(1, fleet.near.shape[0]):
        if tours.order[c, TRIP] < 0:
            tours.out[tours.sums[1]] = c
            tours.sums[1] += 1
    for v in range(tours.count.shape[0]):
        while not allowed(fleet, tours, v):
            take_out(fleet, tours, tours.trip[tours.trips[v, tours.count[v] - 1], TAIL])
            update(fleet, tours, v)


@njit
def _choose_window(fleet: Fleet, tours: Tours, c: Whole, v: Whole) -> None:
    tours.order[c, OPENS] = tours.order[c, SHUTS] = 0
    update(fleet, tours, v)
    w = max(0, window(fleet, c, tours.order[c, BEGIN]))
    tours.order[c, OPENS], tours.order[c, SHUTS] = fleet.windows[c, w, 0], fleet.windows[c, w, 1]
    update(fleet, tours, v)


@njit
def complete(fleet: Fleet, tours: Tours, rng: Array) -> None:
    """Puts every order in that fits."""
    seen, marked = np.zeros(fleet.able.shape[0], np.bool_), np.zeros(tours.count.shape[0], np.bool_)
    touched = np.zeros(tours.count.shape[0], np.int32)
    key, order = np.zeros(tours.out.shape[0]), np.zeros(tours.out.shape[0], np.int32)
    recreate(fleet, tours, rng, key, order, seen, marked, touched, 0)
