"""Travel times from a routing engine over HTTP: OSRM's `table` service or Valhalla's `sources_to_targets`.

Both are asked in blocks, for public servers answer small tables only. What has no road is `NO_WAY`. Needs `httpx2`;
the planners get the numbers as `Problem.ways` and know nothing of this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil
from typing import Any, Protocol

import httpx2

from services.dispatch.planning.problem import NO_WAY, Place, RoutingProblem, TravelTimes
from services.dispatch.planning.travel.matrix import layout

Cells = list[list[tuple[int, int]]]
"""Metres and seconds, a row for each source."""
MOST_KEPT = 2_000_000


class RoadsError(Exception):
    """The engine could not be asked, or answered what is no table; says which and why."""


class Engine(Protocol):
    """A routing engine: the ways from each of a few places to each of a few others."""

    block: int

    def table(self, sources: Sequence[Place], targets: Sequence[Place], profile: str) -> Cells:
        """Whole metres and seconds, rounded up. Raises `RoadsError`."""


class Osrm:
    """An OSRM server. `profiles` maps ours to the server's; what isn't there is `driving`."""

    def __init__(self, client: httpx2.Client, profiles: dict[str, str] | None = None, block: int = 50) -> None:
        self.client, self.block = client, block
        self.profiles = {"bike": "cycling"} if profiles is None else profiles

    def table(self, sources: Sequence[Place], targets: Sequence[Place], profile: str) -> Cells:
        """`GET /table/v1/{profile}/{places}` with durations and distances."""
        where = ";".join(f"{place.lon:.6f},{place.lat:.6f}" for place in (*sources, *targets))
        numbers = [str(n) for n in range(len(sources) + len(targets))]
        query = {
            "annotations": "duration,distance",
            "sources": ";".join(numbers[: len(sources)]),
            "destinations": ";".join(numbers[len(sources) :]),
        }
        path = f"/table/v1/{self.profiles.get(profile, 'driving')}/{where}"
        said = _asked("OSRM", lambda: self.client.get(path, params=query))
        try:
            pairs = zip(said["distances"], said["durations"], strict=True)
            return [[_cell(m, s) for m, s in zip(*rows, strict=True)] for rows in pairs]
        except (KeyError, TypeError, ValueError) as wrong:
            raise RoadsError(f"OSRM answered what is no table: {wrong!r}") from wrong


class Valhalla:
    """A Valhalla server. `costings` maps our profiles to its costing models; what isn't there is `auto`."""

    def __init__(self, client: httpx2.Client, costings: dict[str, str] | None = None, block: int = 50) -> None:
        self.client, self.block = client, block
        self.costings = {"bike": "bicycle", "tricycle": "motor_scooter"} if costings is None else costings

    def table(self, sources: Sequence[Place], targets: Sequence[Place], profile: str) -> Cells:
        """`POST /sources_to_targets`, in kilometres."""
        body = {
            "sources": [{"lat": place.lat, "lon": place.lon} for place in sources],
            "targets": [{"lat": place.lat, "lon": place.lon} for place in targets],
            "costing": self.costings.get(profile, "auto"),
            "units": "kilometers",
        }
        said = _asked("Valhalla", lambda: self.client.post("/sources_to_targets", json=body))
        try:
            rows = said["sources_to_targets"]
            return [[_cell(_metres(cell["distance"]), cell["time"]) for cell in row] for row in rows]
        except (KeyError, TypeError, ValueError) as wrong:
            raise RoadsError(f"Valhalla answered what is no table: {wrong!r}") from wrong


class Roads:
    """Asks an engine for what is not known yet. `symmetric`: the way back is taken to be the way there, which halves
    the questions."""

    def __init__(self, engine: Engine, symmetric: bool = False) -> None:
        self.engine, self.symmetric = engine, symmetric
        self._known: dict[tuple[str, Place, Place], tuple[int, int]] = {}

    def measured(self, problem: RoutingProblem) -> RoutingProblem:
        """The problem with given ways for every profile that its couriers use. Raises `RoadsError`."""
        places = layout(problem).places
        profiles = sorted({courier.profile for courier in problem.couriers})
        return replace(problem, ways=tuple(self.ways(places, profile) for profile in profiles))

    def ways(self, places: Sequence[Place], profile: str) -> TravelTimes:
        """From each place to each. Only places with an unknown way are asked about."""
        if len(self._known) > MOST_KEPT:
            self._known.clear()
        different = list(dict.fromkeys(places))
        known: list[Place] = []
        fresh: list[Place] = []
        for place in different:
            asked = all((profile, *pair) in self._known for other in known for pair in ((place, other), (other, place)))
            (known if asked and (profile, place, place) in self._known else fresh).append(place)
        self._ask(fresh, different, profile)
        if known and not self.symmetric:
            self._ask(known, fresh, profile)
        cells = [[self._known[profile, a, b] for b in places] for a in places]
        return TravelTimes(profile, [[m for m, _ in row] for row in cells], [[s for _, s in row] for row in cells])

    def _ask(self, sources: Sequence[Place], targets: Sequence[Place], profile: str) -> None:
        size = self.engine.block
        for i in range(0, len(sources), size):
            for j in range(0, len(targets), size):
                self._keep(sources[i : i + size], targets[j : j + size], profile)

    def _keep(self, sources: Sequence[Place], targets: Sequence[Place], profile: str) -> None:
        if all((profile, a, b) in self._known for a in sources for b in targets):
            return
        cells = self.engine.table(sources, targets, profile)
        if len(cells) != len(sources) or any(len(row) != len(targets) for row in cells):
            raise RoadsError("the engine answered a table of another size")
        for a, row in zip(sources, cells, strict=True):
            for b, cell in zip(targets, row, strict=True):
                self._known[profile, a, b] = (0, 0) if a == b else cell
                if self.symmetric:
                    self._known[profile, b, a] = self._known[profile, a, b]


def _asked(name: str, ask: Callable[[], httpx2.Response]) -> Any:
    try:
        answer = ask()
        answer.raise_for_status()
        return answer.json()
    except (httpx2.HTTPError, ValueError) as wrong:
        raise RoadsError(f"{name} can't be asked: {wrong}") from wrong


def _cell(metres: float | None, seconds: float | None) -> tuple[int, int]:
    return (NO_WAY, NO_WAY) if metres is None or seconds is None else (ceil(metres), ceil(seconds))


def _metres(kilometres: float | None) -> float | None:
    return None if kilometres is None else round(kilometres * 1000, 3)
