"""Cold limits, looked at stop by stop: only for trips that carry something chilly."""

from __future__ import annotations

from services.dispatch.planning.search.kernel.fleet import COLD, Fleet, Whole, wide
from services.dispatch.planning.search.kernel.jit import njit
from services.dispatch.planning.search.kernel.tours import AFTER, HEAD, NEXT, OPENS, PREV, SHUTS, Tours


@njit
def cold_enough(
    fleet: Fleet, tours: Tours, c: Whole, w: Whole, t: Whole, after: Whole, kind: Whole, start: Whole, home: int
) -> bool:
    """Whether trip t, begun at `start`, keeps its cold limits with c in window w behind `after` (t < 0: c alone).

    It is back as early as can be and, given that, leaves as late as can be.
    """
    time, order, windows = fleet.time[kind], tours.order, fleet.windows
    first = tours.trip[t, HEAD] if t >= 0 else 0
    clock, here = wide(start) + fleet.load_s, wide(0)
    i = wide(first if after else c)
    while i:
        clock = max(clock + time[here, i], windows[c, w, 0] if i == c else order[i, OPENS]) + order[i, AFTER]
        here, i = i, _behind(tours, c, after, first, i)
    clock += time[here, home]
    then, i = wide(home), here
    while i:
        clock = min(clock - time[i, then] - order[i, AFTER], windows[c, w, 1] if i == c else order[i, SHUTS])
        then = i
        if i == c:
            i = wide(after)
        else:
            i = wide(c if order[i, PREV] == after and _behind(tours, c, after, first, c) == i else order[i, PREV])
    leave = clock - time[0, then]
    clock, here, i = leave, wide(0), then
    while i:
        clock = max(clock + time[here, i], windows[c, w, 0] if i == c else order[i, OPENS])
        if clock - leave > fleet.order[i, COLD]:
            return False
        clock += order[i, AFTER]
        here, i = i, _behind(tours, c, after, first, i)
    return True


@njit
def _behind(tours: Tours, c: Whole, after: Whole, first: Whole, i: Whole) -> Whole:
    """The order behind i when c is put behind `after`, or before the `first`."""
    if i == c:
        return wide(tours.order[after, NEXT] if after else first)
    return wide(c if i == after else tours.order[i, NEXT])
