"""Reads routing instances of the literature: Solomon and Gehring-Homberger text, VRPLIB VRPTW, MTVRPTWR.

The DIMACS convention: a distance is the Euclidean one times ten, cut to an integer; times and service are times ten;
travel time = distance; the objective is the total distance. VRPTW costs are published with one decimal (`unit` 10),
MTVRPTWR costs as these integers (`unit` 1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from pathlib import Path

SCALE = 10
Rows = dict[int, list[float]]


@dataclass(frozen=True, slots=True)
class Stop:
    """A place of an instance, number 0 the depot: position, demand, window, service and release, scaled integers."""

    x: float
    y: float
    demand: int
    ready: int
    due: int
    service: int
    release: int


@dataclass(frozen=True, slots=True)
class Instance:
    """One depot, equal vehicles. `reloads`: a vehicle may come back and load again. `best_known` in published units."""

    name: str
    vehicles: int
    capacity: int
    stops: tuple[Stop, ...]
    reloads: bool
    unit: int
    best_known: float | None = None

    def distance(self, a: int, b: int) -> int:
        """Return the scaled distance, which is also the travel time."""
        here, there = self.stops[a], self.stops[b]
        return int(SCALE * sqrt((here.x - there.x) ** 2 + (here.y - there.y) ** 2))

    def cost(self, routes: Sequence[Sequence[int]]) -> float:
        """Return the total distance in published units. A 0 inside a route is a reload."""
        scaled = sum(self.distance(a, b) for route in routes for a, b in pairwise([0, *route, 0]))
        return scaled / self.unit

    def gap_pct(self, cost: float) -> float | None:
        """Return percent above the best known cost, or None when that is unknown."""
        return None if self.best_known is None else 100 * (cost / self.best_known - 1)


def faults(instance: Instance, routes: Sequence[Sequence[int]]) -> Iterator[str]:
    """Yield every rule that the routes break, computed from the instance alone."""
    visits = sorted(stop for route in routes for stop in route if stop)
    if visits != list(range(1, len(instance.stops))):
        yield "the stops are not visited once each"
    if len(routes) > instance.vehicles:
        yield f"{len(routes)} routes for {instance.vehicles} vehicles"
    for number, route in enumerate(routes, 1):
        trips: list[list[int]] = [[]]
        for stop in route:
            if stop:
                trips[-1].append(stop)
            else:
                trips.append([])
        if len(trips) > 1 and not instance.reloads:
            yield f"route {number} reloads"
        yield from (f"route {number}: {text}" for text in _late(instance, trips))
        if any(sum(instance.stops[stop].demand for stop in trip) > instance.capacity for trip in trips):
            yield f"route {number} carries more than {instance.capacity}"


def _late(instance: Instance, trips: list[list[int]]) -> Iterator[str]:
    clock = instance.stops[0].ready
    for trip in trips:
        clock = max([clock, *(instance.stops[stop].release for stop in trip)])
        for here, there in pairwise([0, *trip, 0]):
            stop = instance.stops[there]
            clock = max(clock + instance.distance(here, there), stop.ready)
            if clock > stop.due:
                yield f"{clock - stop.due} too late at stop {there}"
            clock += stop.service


def read(path: Path) -> Instance:
    """Return the instance in the file, with the cost of a `.sol` file beside it. Raises ValueError otherwise."""
    text = path.read_text()
    instance = _vrplib(text) if "NODE_COORD_SECTION" in text else _solomon(text)
    beside = path.with_suffix(".sol")
    found = re.search(r"^Cost:?\s+([\d.]+)", beside.read_text(), re.MULTILINE) if beside.exists() else None
    best = float(found[1]) if found else None
    return Instance(
        path.stem, instance.vehicles, instance.capacity, instance.stops, instance.reloads, instance.unit, best
    )


def read_all(folder: Path) -> list[Instance]:
    """Return every `.txt` and `.vrp` instance in the folder and below, small ones first."""
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix in {".txt", ".vrp"}]
    return sorted((read(path) for path in paths), key=lambda instance: (len(instance.stops), instance.name))


def _solomon(text: str) -> Instance:
    rows = [[float(word) for word in line.split()] for line in text.splitlines() if re.fullmatch(r"[\s\d.-]+", line)]
    rows = [row for row in rows if row]
    if not rows or len(rows[0]) != 2 or any(len(row) != 7 for row in rows[1:]):
        raise ValueError("expected a line with vehicles and capacity, then lines of seven numbers")
    vehicles, capacity = (int(value) for value in rows[0])
    return Instance("", vehicles, capacity, tuple(_stop(*row[1:]) for row in rows[1:]), False, SCALE)


def _stop(x: float, y: float, demand: float, ready: float, due: float, service: float, release: float = 0) -> Stop:
    times = (int(SCALE * value) for value in (ready, due, service, release))
    return Stop(x, y, int(demand), *times)


def _vrplib(text: str) -> Instance:
    head = dict(re.findall(r"^([A-Z_]+)\s*:\s*(.+?)\s*$", text, re.MULTILINE))
    sections = {name: _rows(body) for name, body in re.findall(r"^([A-Z_]+)_SECTION\s*\n([^A-Z]*)", text, re.MULTILINE)}
    if head.get("EDGE_WEIGHT_TYPE") != "EUC_2D" or "TIME_WINDOW" not in sections:
        raise ValueError("expected Euclidean coordinates and a TIME_WINDOW_SECTION")
    service = float(head.get("SERVICE_TIME", 0))
    services, releases = sections.get("SERVICE_TIME", {}), sections.get("RELEASE_TIME", {})
    stops = []
    for number, (x, y) in sections["NODE_COORD"].items():
        at_stop = services.get(number, [0.0 if number == 1 else service])[0]
        window = sections["TIME_WINDOW"][number]
        release = releases.get(number, [0.0])[0]
        stops.append(_stop(x, y, sections["DEMAND"][number][0], window[0], window[1], at_stop, release))
    reloads = "VEHICLES_RELOAD_DEPOT" in sections
    unit = 1 if "MTVRP" in head.get("TYPE", "") else SCALE
    vehicles = int(head.get("VEHICLES", len(stops) - 1))
    return Instance("", vehicles, int(head["CAPACITY"]), tuple(stops), reloads, unit)


def _rows(body: str) -> Rows:
    lines = [line.split() for line in body.splitlines() if line.strip() and not line.startswith("-1")]
    return {int(line[0]): [float(word) for word in line[1:]] for line in lines}
