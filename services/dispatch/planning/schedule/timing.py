"""Computes the timetable of a courier's sequence of trips.

Each trip is back as early as possible and, given that, leaves as late as possible, so that goods are out of the cold
and couriers wait at doors no longer than needed. Breaks are placed where the day ends earliest. A courier paid by the
hour leaves for the first trip as late as the day's end allows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

from services.dispatch.planning.plan import Rest, Route, Stop, Trip
from services.dispatch.planning.problem import Break, Courier
from services.dispatch.planning.schedule.columns import FEN, FOREVER, HOUR, KM, Columns

Trips = Sequence[Sequence[int]]
"""The trips of one courier in driving order, each a list of place numbers."""
TripTimes = tuple[int, int, list[int]]
"""Start of loading, end at the station or home, and the begin of each service, in seconds."""


@dataclass(frozen=True, slots=True)
class Times:
    """A timetable: trips; breaks as (number of the trip behind, start, end); the seconds at which the courier leaves
    its start and ends its last trip."""

    trips: list[TripTimes]
    breaks: list[tuple[int, int, int]]
    leave_s: int
    end_s: int


def times(columns: Columns, c: int, trips: Trips) -> Times | None:
    """Return the timetable of courier `c`; None when a window, shift, break or cold limit can't be kept.

    Loads, skills and zones are not checked.
    """
    found = [made for where in _placings(columns, c, len(trips)) if (made := _run(columns, c, trips, where))]
    return min(found, key=lambda made: made.end_s, default=None)


def earliest(columns: Columns, c: int, trips: Trips) -> Times:
    """Return a timetable for trips that may break rules, to show what is wrong with them.

    As early as driving, loading, releases and windows allow; closed windows are ignored, breaks follow the trips.
    """
    courier, seconds = columns.couriers[c], columns.matrices[c].seconds
    clock, rows = courier.from_s + seconds(columns.starts[c], 0), []
    for n, trip in enumerate(trips):
        start = max([clock, *(columns.release[place] for place in trip)])
        clock, here, begins = start + columns.problem.load_s, 0, []
        for place in trip:
            clock += seconds(here, place)
            opens = columns.opening(place, clock)
            clock = opens if opens < FOREVER else clock
            begins.append(clock)
            clock, here = clock + columns.service[place], place
        clock += seconds(here, 0 if n < len(trips) - 1 else columns.ends[c])
        rows.append((start, clock, begins))
    end, rests = clock, []
    for rest in courier.breaks:
        clock = max(clock, rest.from_s)
        rests.append((len(trips), clock, clock + rest.length_s))
        clock += rest.length_s
    return Times(rows, rests, rows[0][0] - seconds(columns.starts[c], 0) if rows else end, end)


def metres(columns: Columns, c: int, trips: Trips) -> int:
    """Return the metres of the day, with the legs from the start and to the end; 0 without trips."""
    leg_m, here, total = columns.matrices[c].metres, columns.starts[c], 0
    for trip in trips:
        for place in (0, *trip):
            total += leg_m(here, place) if here != place else 0
            here = place
    return total + leg_m(here, columns.ends[c]) if trips else 0


def cost(columns: Columns, c: int, trips: Trips, leave_s: int, end_s: int) -> int:
    """Return the cost of the day between these times, in 1/18 000 fen."""
    courier = columns.couriers[c]
    if not trips:
        return 0
    paid = courier.fen_per_hour * (end_s - leave_s) * HOUR
    return paid + courier.fen_per_km * metres(columns, c, trips) * KM + courier.fen_fixed * FEN


def route(columns: Columns, c: int, trips: Trips, made: Times) -> Route:
    """Return the day as a route of a plan."""
    rows = [
        Trip(start, end, tuple(Stop(columns.orders[n].id, at) for n, at in zip(trip, begins, strict=True)))
        for trip, (start, end, begins) in zip(trips, made.trips, strict=True)
    ]
    rests = tuple(Rest(start, end) for _, start, end in made.breaks)
    return Route(columns.couriers[c].id, tuple(rows), rests)


def _placings(columns: Columns, c: int, trips: int) -> Iterator[tuple[int, ...]]:
    """Yield every placing of the breaks, in order, before a trip or behind the last one."""
    return combinations_with_replacement(range(trips + 1), len(columns.couriers[c].breaks))


def _run(columns: Columns, c: int, trips: Trips, placing: tuple[int, ...]) -> Times | None:
    courier = columns.couriers[c]
    made = _forward(columns, c, trips, placing, courier.from_s)
    if made and trips and courier.fen_per_hour:
        # the first trip starts later by the waiting that the day's end allows, which is then not paid
        made = _forward(columns, c, trips, placing, _latest(columns, c, trips, placing, made.end_s)) or made
    return made


def _forward(columns: Columns, c: int, trips: Trips, placing: tuple[int, ...], leave: int) -> Times | None:
    courier, rows, rests = columns.couriers[c], [], []
    clock = courier.from_s
    approach = columns.matrices[c].seconds(columns.starts[c], 0)
    for n in range(len(trips) + 1):
        for rest in _rests(courier, placing, n):
            clock = max(clock, rest.from_s)
            if clock + rest.length_s > rest.until_s:
                return None
            rests.append((n, clock, clock + rest.length_s))
            clock += rest.length_s
        if n < len(trips):
            clock = max(clock, leave) + approach if n == 0 else clock
            row = trip_times(columns, c, trips[n], clock, 0 if n < len(trips) - 1 else columns.ends[c])
            if row is None:
                return None
            rows.append(row)
            clock = row[1]
    end = rows[-1][1] if rows else courier.from_s
    if end > courier.until_s:
        return None
    return Times(rows, rests, rows[0][0] - approach if rows else end, end)


def trip_times(
    columns: Columns, c: int, trip: Sequence[int], clock: int, home: int
) -> tuple[int, int, list[int]] | None:
    """Return the times of one trip that starts no earlier than `clock` and ends at place `home`.

    None when a window or a cold limit can't be kept. A later start never keeps goods longer out of the cold.
    """
    seconds, service, load = columns.matrices[c].seconds, columns.service, columns.problem.load_s
    legs = [seconds(a, b) for a, b in zip((0, *trip), (*trip, home), strict=True)]
    free = max([clock, *(columns.release[n] for n in trip)])
    moment = free + load
    for n, leg in zip(trip, legs, strict=False):
        moment = columns.opening(n, moment + leg)
        if moment >= FOREVER:
            return None
        moment += service[n]
    end = moment + legs[-1]
    moment = end - legs[-1]  # the latest departure with the same return
    for n, leg in zip(reversed(trip), reversed(legs[:-1]), strict=True):
        moment = columns.closing(n, moment - service[n]) - leg
    departure = moment
    begins = []
    for n, leg in zip(trip, legs, strict=False):
        moment = columns.opening(n, moment + leg)
        if moment - departure > columns.limit[n]:
            return None
        begins.append(moment)
        moment += service[n]
    return departure - load, end, begins


def _latest(columns: Columns, c: int, trips: Trips, placing: tuple[int, ...], bound: int) -> int:
    """Return the latest moment to leave the start with which the last trip still ends at `bound`."""
    courier, seconds = columns.couriers[c], columns.matrices[c].seconds
    for n in range(len(trips) - 1, -1, -1):
        here = 0 if n < len(trips) - 1 else columns.ends[c]
        for place in reversed(trips[n]):
            bound = columns.closing(place, bound - seconds(place, here) - columns.service[place])
            here = place
        bound -= seconds(0, here) + columns.problem.load_s
        for rest in reversed(_rests(courier, placing, n) if n else []):
            bound = min(bound, rest.until_s) - rest.length_s
    return bound - seconds(columns.starts[c], 0)


def _rests(courier: Courier, placing: tuple[int, ...], n: int) -> list[Break]:
    return [rest for rest, before in zip(courier.breaks, placing, strict=True) if before == n]
