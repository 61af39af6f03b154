"""Puts orders that are left out back in, each where it adds least, sometimes blinking at the best place.

After Christiaens and Vanden Berghe, "Slack Induction by String Removals for Vehicle Routing Problems" (2020). Beside it
here: places are looked for beside near orders only, and a trip of its own goes where it leaves most time.
"""

from __future__ import annotations

import numpy as np

from services.dispatch.planning.search.kernel.cold import cold_enough
from services.dispatch.planning.search.kernel.fleet import COLD, FAR, LOAD, RELEASE, SERVICE, Array, Fleet, Whole, wide
from services.dispatch.planning.search.kernel.jit import inline
from services.dispatch.planning.search.kernel.tours import (
    AFTER,
    BACK,
    BARE,
    BEGIN,
    BOUND,
    CHILLY,
    DUE,
    GAP,
    HEAD,
    HOME,
    HOMEWARD,
    LAST,
    LATEST,
    LEAVES,
    NEXT,
    OPENS,
    PREV,
    ROOM,
    SHUTS,
    SPARE,
    TAIL,
    TRIP,
    VEHICLE,
    Tours,
    new_trip,
    put_in,
    update,
)

BLINK = 0.01


@inline
def draw(rng: Array) -> float:
    """A number in 0..1 (xorshift64; the state is the array's only word)."""
    x = rng[0]
    x ^= x << np.uint64(13)
    x ^= x >> np.uint64(7)
    x ^= x << np.uint64(17)
    rng[0] = x
    return np.float64(x >> np.uint64(11)) * 2.0**-53


@inline
def below(rng: Array, n: Whole) -> Whole:
    """A number in 0..n-1."""
    return wide(draw(rng) * n)


@inline
def blinks(rng: Array) -> Whole:
    """How many good places are seen until one is overlooked."""
    return wide(np.log(1 - draw(rng)) / np.log(1 - BLINK))


@inline
def window(fleet: Fleet, c: Whole, moment: Whole) -> Whole:
    """The first window of c that is not over at the moment; -1 for none."""
    for w in range(fleet.windows.shape[1]):
        if moment <= fleet.windows[c, w, 1]:
            return w
    return -1


@inline
def _beside(fleet: Fleet, tours: Tours, c: Whole, rng: Array) -> tuple[Whole, Whole, Whole, Whole]:
    """The cheapest place in a trip: (added cost, trip or -1, behind which order, window)."""
    best, trip, behind, meant = fleet.absent[c], -1, 0, 0
    sight, order = blinks(rng), fleet.order[c]
    for q in range(fleet.near.shape[1]):
        near = fleet.near[c, q]
        if near == 0:
            break
        t = tours.order[near, TRIP]
        if t < 0:
            continue
        row = tours.trip[t]
        if order[LOAD] > row[ROOM] or order[LOAD + 1] > row[ROOM + 1]:
            continue
        v = row[VEHICLE]
        if not fleet.able[fleet.group[v], c]:
            continue
        kind, after = fleet.kind[v], near
        cost, leg = fleet.near_cost[kind, c, q], fleet.near_time[kind, c, q]
        while True:
            b = tours.order[after, NEXT] if after else row[HEAD]
            added = wide(cost) - (tours.order[b, GAP] if b else row[HOMEWARD])
            added += fleet.cost[kind, c, b if b else row[HOME]]
            if added < best:
                w = _fits(fleet, tours, c, t, kind, after, b, leg)
                if w >= 0 and sight > 0:
                    sight -= 1
                    best, trip, behind, meant = added, t, after, w
                elif w >= 0:
                    sight = blinks(rng)
            if after == 0 or tours.order[after, PREV]:
                break
            after = 0  # the first of its trip: before it, too
            cost, leg = fleet.cost[kind, 0, c], fleet.time[kind, 0, c]
    return best, trip, behind, meant


@inline
def _fits(fleet: Fleet, tours: Tours, c: Whole, t: Whole, kind: Whole, after: Whole, b: Whole, leg: Whole) -> Whole:
    """The window in which c can be served between `after`, `leg` away, and b; -1 when something forbids it."""
    trip, release = tours.trip[t], fleet.order[c, RELEASE]
    start = wide(trip[LEAVES])
    if after:
        row = tours.order[after]
        clock = wide(row[BEGIN])
        if release > start:
            if release > row[BOUND]:
                return -1
            start = wide(release)
            clock = max(clock, start + row[BARE])
        clock += row[AFTER]
    else:
        start = max(start, release)
        clock = start + fleet.load_s
    clock += leg
    w = window(fleet, c, clock)
    if w < 0:
        return -1
    clock = max(clock, fleet.windows[c, w, 0]) + fleet.order[c, SERVICE]
    if clock + fleet.time[kind, c, b if b else trip[HOME]] > (tours.order[b, LATEST] if b else trip[DUE]):
        return -1
    if min(trip[CHILLY], fleet.order[c, COLD]) >= FAR:
        return w
    bare = leg + (tours.order[after, BARE] + tours.order[after, AFTER] if after else fleet.load_s)
    if bare - fleet.load_s > fleet.order[c, COLD]:
        return -1
    if b:
        bare += fleet.order[c, SERVICE] + fleet.time[kind, c, b]
        if bare - tours.order[b, BARE] > tours.order[b, SPARE]:
            return -1
    return w if cold_enough(fleet, tours, c, w, t, after, kind, start, trip[HOME]) else -1


@inline
def _alone(fleet: Fleet, tours: Tours, c: Whole, best: Whole, seen: Array) -> tuple[Whole, Whole, Whole, Whole]:
    """The cheapest trip of its own that adds less than `best`, of equal ones that with most time to spare: (added
    cost, vehicle or -1, the how-manieth trip, window)."""
    vehicle, place, meant, most = -1, 0, 0, wide(-1)
    seen[:] = False
    for v in range(tours.count.shape[0]):
        k, group = tours.count[v], fleet.group[v]
        if k == fleet.max_trips or not fleet.able[group, c]:
            continue
        if k == 0:
            if seen[group]:
                continue
            seen[group] = True
        first = wide(0)  # before the last place all add the same
        if k and fleet.cost[fleet.kind[v], 0, c] + fleet.cost[fleet.kind[v], c, 0] > best:
            if fleet.home[v] == 0:
                continue
            first = k
        for j in range(first, k + 1):
            clock = wide(tours.trip[tours.trips[v, j - 1], BACK] if j else fleet.opens[v])
            added, room, w = _gap(fleet, tours, c, v, j, clock, best)
            if w >= 0 and (added < best or (added == best and vehicle >= 0 and room > most)):
                best, vehicle, place, meant, most = added, v, j, w, room
    return best, vehicle, place, meant


@inline
def _gap(
    fleet: Fleet, tours: Tours, c: Whole, v: Whole, j: Whole, clock: Whole, best: Whole
) -> tuple[Whole, Whole, Whole]:
    """c alone in a j-th trip of v, free at `clock`: (added cost, time to spare, window or -1: also if it adds more
    than `best`)."""
    k, kind = tours.count[v], fleet.kind[v]
    added, home, due = wide(fleet.cost[kind, 0, c]), 0, wide(fleet.shuts[v])
    if j < k:
        due = wide(tours.trip[tours.trips[v, j], LAST])
    else:
        home = fleet.home[v]
        if k == 0:
            added += fleet.once[v]
        elif home:
            before = tours.trip[tours.trips[v, k - 1], TAIL]
            added += fleet.cost[kind, before, 0] - fleet.cost[kind, before, home]
    added += fleet.cost[kind, c, home]
    if added > best:
        return added, wide(0), -1
    start = max(clock, fleet.order[c, RELEASE])
    at = start + fleet.load_s + fleet.time[kind, 0, c]
    w = window(fleet, c, at)
    if w < 0:
        return added, wide(0), -1
    at = max(at, fleet.windows[c, w, 0])
    room = due - (at + fleet.order[c, SERVICE] + fleet.time[kind, c, home])
    if room < 0:
        return added, room, -1
    if fleet.order[c, COLD] < FAR and not cold_enough(fleet, tours, c, w, -1, 0, kind, start, home):
        return added, room, -1
    return added, room + min(room, fleet.windows[c, w, 1] - at), w


@inline
def insert(fleet: Fleet, tours: Tours, c: Whole, rng: Array, seen: Array) -> Whole:
    """Puts c where it adds least. Returns the vehicle, -1 when leaving it out is cheaper or it fits nowhere."""
    best, trip, behind, meant = _beside(fleet, tours, c, rng)
    if best > fleet.lone[c]:
        _, v, j, w = _alone(fleet, tours, c, best, seen)
        if v >= 0:
            trip, behind, meant = new_trip(fleet, tours, v, j), 0, w
    if trip < 0:
        return -1
    tours.order[c, OPENS], tours.order[c, SHUTS] = fleet.windows[c, meant, 0], fleet.windows[c, meant, 1]
    put_in(fleet, tours, c, trip, behind)
    v = tours.trip[trip, VEHICLE]
    update(fleet, tours, v)
    return v
