"""Two trips exchange their ends: a move that taking a few orders out and putting them back seldom comes to."""

from __future__ import annotations

from services.dispatch.planning.search.kernel.fleet import LOAD, Array, Fleet, Whole, wide
from services.dispatch.planning.search.kernel.jit import inline, njit
from services.dispatch.planning.search.kernel.recreate import below
from services.dispatch.planning.search.kernel.tours import (
    AFTER,
    BEGIN,
    GAP,
    HEAD,
    HOME,
    HOMEWARD,
    LATEST,
    NEXT,
    PREV,
    ROOM,
    SIZE,
    TAIL,
    TRIP,
    VEHICLE,
    Tours,
    drop,
    update,
)
from services.dispatch.planning.search.kernel.trips import allowed

TRIES, NEAR = 30, 20


@njit
def tails(fleet: Fleet, tours: Tours, rng: Array, slack: float, touched: Array, marked: Array) -> Whole:
    """Drives from an order on to a near one of another trip; what came behind the one comes behind what was before
    the other. Returns how many vehicles are touched: none where no try adds less than `slack` and is allowed."""
    for _ in range(TRIES):
        b = 1 + below(rng, fleet.near.shape[0] - 1)
        a = wide(fleet.near[b, below(rng, min(NEAR, fleet.near.shape[1]))])
        if not (a and _pays(fleet, tours, a, b, slack)):
            continue
        t, u, p = wide(tours.order[a, TRIP]), wide(tours.order[b, TRIP]), wide(tours.order[b, PREV])
        v, w = tours.trip[t, VEHICLE], tours.trip[u, VEHICLE]
        _swap(fleet, tours, t, a, u, p)
        update(fleet, tours, v)
        update(fleet, tours, w)
        if allowed(fleet, tours, v) and allowed(fleet, tours, w):
            if tours.trip[u, SIZE] == 0:
                drop(tours, u)
                update(fleet, tours, w)
            marked[v] = marked[w] = True
            touched[0], touched[1] = v, w
            return wide(2)
        _swap(fleet, tours, t, a, u, p)
        update(fleet, tours, v)
        update(fleet, tours, w)
    return wide(0)


@inline
def _pays(fleet: Fleet, tours: Tours, a: Whole, b: Whole, slack: float) -> bool:
    """Whether it adds less than `slack` and nobody on the two new ways is late by the times of before."""
    t, u = tours.order[a, TRIP], tours.order[b, TRIP]
    if t < 0 or u < 0 or t == u:
        return False
    one, two = tours.trip[t], tours.trip[u]
    v, w = one[VEHICLE], two[VEHICLE]
    if v == w or fleet.kind[v] != fleet.kind[w]:
        return False
    kind, n, p = fleet.kind[v], tours.order[a, NEXT], tours.order[b, PREV]
    first, second = tours.order[a], tours.order[b]
    added = wide(fleet.cost[kind, a, b]) - second[GAP]
    added += fleet.cost[kind, p, n if n else two[HOME]] - (tours.order[n, GAP] if n else one[HOMEWARD])
    if not n and not p and tours.count[w] == 1:
        added -= fleet.once[w]
    if added >= slack or wide(first[BEGIN]) + first[AFTER] + fleet.time[kind, a, b] > second[LATEST]:
        return False
    late = wide(tours.order[p, BEGIN]) + tours.order[p, AFTER] + fleet.time[kind, p, n] > tours.order[n, LATEST]
    return not (n and p and late)


@inline
def _swap(fleet: Fleet, tours: Tours, t: Whole, a: Whole, u: Whole, p: Whole) -> None:
    """What is behind a in trip t comes behind p in trip u and the other way round; doing it again undoes it. 0: all."""
    x = wide(tours.order[a, NEXT] if a else tours.trip[t, HEAD])
    y = wide(tours.order[p, NEXT] if p else tours.trip[u, HEAD])
    end_t, end_u = wide(tours.trip[t, TAIL]), wide(tours.trip[u, TAIL])
    _move(fleet, tours, x, t, u)
    _move(fleet, tours, y, u, t)
    _link(tours, t, a, y, end_u)
    _link(tours, u, p, x, end_t)


@inline
def _move(fleet: Fleet, tours: Tours, i: Whole, t: Whole, u: Whole) -> None:
    while i:
        for which in range(2):
            load = fleet.order[i, LOAD + which]
            tours.trip[t, ROOM + which] += load
            tours.trip[u, ROOM + which] -= load
        tours.trip[t, SIZE] -= 1
        tours.trip[u, SIZE] += 1
        tours.order[i, TRIP] = u
        i = wide(tours.order[i, NEXT])


@inline
def _link(tours: Tours, t: Whole, a: Whole, y: Whole, end: Whole) -> None:
    if a:
        tours.order[a, NEXT] = y
    else:
        tours.trip[t, HEAD] = y
    if y:
        tours.order[y, PREV] = a
    tours.trip[t, TAIL] = end if y else a
