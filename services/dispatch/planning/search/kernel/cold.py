"""Cold limits, checked stop by stop; only for trips that carry an order with such a limit."""

from __future__ import annotations

from services.dispatch.planning.search.kernel.fleet import COLD, Fleet, Int, int64
from services.dispatch.planning.search.kernel.jit import njit
from services.dispatch.planning.search.kernel.tours import CLOSES, DURATION, HEAD, NEXT, OPENS, PREV, Tours


@njit
def cold_enough(
    fleet: Fleet,
    tours: Tours,
    order: Int,
    window: Int,
    trip: Int,
    after: Int,
    kind: Int,
    start: Int,
    home: int,
) -> bool:
    """Return whether the trip, with loading from `start` on, keeps its cold limits when `order` is served in `window`
    behind the order `after` (0: as the first). `trip` < 0: a trip with this order alone.

    The trip is back as early as possible and, given that, leaves as late as possible. The order need not be linked
    into the trip: the walk steps over the gap where it would be.
    """
    time, stops, windows = fleet.time[kind], tours.stop, fleet.windows
    first = tours.trip[trip, HEAD] if trip >= 0 else 0
    # 1. Forward, as early as possible: when does the trip end?
    clock, here = int64(start) + fleet.load_s, int64(0)
    stop = int64(first if after else order)
    while stop:
        opens = windows[order, window, 0] if stop == order else stops[stop, OPENS]
        clock = max(clock + time[here, stop], opens) + stops[stop, DURATION]
        here, stop = stop, _behind(tours, order, after, first, stop)
    clock += time[here, home]
    # 2. Backward from that end, as late as possible: when can it leave the station?
    then, stop = int64(home), here
    while stop:
        closes = windows[order, window, 1] if stop == order else stops[stop, CLOSES]
        clock = min(clock - time[stop, then] - stops[stop, DURATION], closes)
        then = stop
        if stop == order:
            stop = int64(after)
        else:
            # The order's place is just before this stop if that is where the walk would go on from it.
            inserted = stops[stop, PREV] == after and _behind(tours, order, after, first, order) == stop
            stop = int64(order if inserted else stops[stop, PREV])
    leave = clock - time[0, then]
    # 3. Forward again from that departure: how long is each order out of the cold?
    clock, here, stop = leave, int64(0), then
    while stop:
        opens = windows[order, window, 0] if stop == order else stops[stop, OPENS]
        clock = max(clock + time[here, stop], opens)
        if clock - leave > fleet.demand[stop, COLD]:
            return False
        clock += stops[stop, DURATION]
        here, stop = stop, _behind(tours, order, after, first, stop)
    return True


@njit
def _behind(tours: Tours, order: Int, after: Int, first: Int, stop: Int) -> Int:
    """Return the order behind `stop` when `order` is inserted behind `after`, or before the `first`; 0 at the end."""
    if stop == order:
        return int64(tours.stop[after, NEXT] if after else first)
    return int64(order if stop == after else tours.stop[stop, NEXT])
