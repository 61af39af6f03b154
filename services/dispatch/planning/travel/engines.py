"""Adapter to routing engines over HTTP: travel times from OSRM's `table` service or Valhalla's `sources_to_targets`.

Tables are requested in blocks, as public servers answer small ones only. Legs without a road are `NO_WAY`. The
planners receive the numbers as `RoutingProblem.ways` and do not import this module, which needs `httpx2`.
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
"""Metres and seconds, one row for each source."""
MOST_KEPT = 2_000_000
"""Legs kept in memory before the cache is cleared."""


class RoadsError(Exception):
    """Raised when the engine can't be reached or answers without a valid table; names the engine and the cause."""


class Engine(Protocol):
    """A routing engine: travel times from each of a few places to each of a few others."""

    block: int

    def table(self, sources: Sequence[Place], targets: Sequence[Place], profile: str) -> Cells:
        """Return whole metres and seconds, rounded up. Raises `RoadsError`."""


class Osrm:
    """An OSRM server. `profiles` maps our profiles to the server's; others are `driving`."""

    def __init__(self, client: httpx2.Client, profiles: dict[str, str] | None = None, block: int = 50) -> None:
        self.client, self.block = client, block
        self.profiles = {"bike": "cycling"} if profiles is None else profiles

    def table(self, sources: Sequence[Place], targets: Sequence[Place], profile: str) -> Cells:
        """Call `GET /table/v1/{profile}/{places}` with durations and distances."""
        where = ";".join(f"{place.lon:.6f},{place.lat:.6f}" for place in (*sources, *targets))
        numbers = [str(n) for n in range(len(sources) + len(targets))]
        query = {
            "annotations": "duration,distance",
            "sources": ";".join(numbers[: len(sources)]),
            "destinations": ";".join(numbers[len(sources) :]),
        }
        path = f"/table/v1/{self.profiles.get(profile, 'driving')}/{where}"
        answer = _json("OSRM", lambda: self.client.get(path, params=query))
        try:
            pairs = zip(answer["distances"], answer["durations"], strict=True)
            return [[_cell(m, s) for m, s in zip(*rows, strict=True)] for rows in pairs]
        except (KeyError, TypeError, ValueError) as error:
            raise RoadsError(f"OSRM answered without a valid table: {error!r}") from error


class Valhalla:
    """A Valhalla server. `costings` maps our profiles to its costing models; others are `auto`."""

    def __init__(self, client: httpx2.Client, costings: dict[str, str] | None = None, block: int = 50) -> None:
        self.client, self.block = client, block
        self.costings = {"bike": "bicycle", "tricycle": "motor_scooter"} if costings is None else costings

    def table(self, sources: Sequence[Place], targets: Sequence[Place], profile: str) -> Cells:
        """Call `POST /sources_to_targets`, in kilometres."""
        body = {
            "sources": [{"lat": place.lat, "lon": place.lon} for place in sources],
            "targets": [{"lat": place.lat, "lon": place.lon} for place in targets],
            "costing": self.costings.get(profile, "auto"),
            "units": "kilometers",
        }
        answer = _json("Valhalla", lambda: self.client.post("/sources_to_targets", json=body))
        try:
            rows = answer["sources_to_targets"]
            return [[_cell(_metres(cell["distance"]), cell["time"]) for cell in row] for row in rows]
        except (KeyError, TypeError, ValueError) as error:
            raise RoadsError(f"Valhalla answered without a valid table: {error!r}") from error


class Roads:
    """A cache of an engine's travel times that requests only legs it does not have.

    `symmetric`: the way back is taken to be equal to the way there, which halves the requests.
    """

    def __init__(self, engine: Engine, symmetric: bool = False) -> None:
        self.engine, self.symmetric = engine, symmetric
        self._known: dict[tuple[str, Place, Place], tuple[int, int]] = {}

    def measured(self, problem: RoutingProblem) -> RoutingProblem:
        """Return the problem with travel times for every profile of its couriers. Raises `RoadsError`."""
        places = layout(problem).places
        profiles = sorted({courier.profile for courier in problem.couriers})
        return replace(problem, ways=tuple(self.travel_times(places, profile) for profile in profiles))

    def travel_times(self, places: Sequence[Place], profile: str) -> TravelTimes:
        """Return the travel times from each place to each. Only places with a missing leg are requested."""
        if len(self._known) > MOST_KEPT:
            self._known.clear()
        different = list(dict.fromkeys(places))
        known: list[Place] = []
        fresh: list[Place] = []
        for place in different:
            pairs = [pair for other in known for pair in ((place, other), (other, place))]
            cached = all((profile, *pair) in self._known for pair in pairs)
            (known if cached and (profile, place, place) in self._known else fresh).append(place)
        self._request(fresh, different, profile)
        if known and not self.symmetric:
            self._request(known, fresh, profile)
        cells = [[self._known[profile, a, b] for b in places] for a in places]
        return TravelTimes(profile, [[m for m, _ in row] for row in cells], [[s for _, s in row] for row in cells])

    def _request(self, sources: Sequence[Place], targets: Sequence[Place], profile: str) -> None:
        size = self.engine.block
        for i in range(0, len(sources), size):
            for j in range(0, len(targets), size):
                self._request_block(sources[i : i + size], targets[j : j + size], profile)

    def _request_block(self, sources: Sequence[Place], targets: Sequence[Place], profile: str) -> None:
        if all((profile, a, b) in self._known for a in sources for b in targets):
            return
        cells = self.engine.table(sources, targets, profile)
        if len(cells) != len(sources) or any(len(row) != len(targets) for row in cells):
            raise RoadsError(f"the engine answered a table of another size than {len(sources)} x {len(targets)}")
        for a, row in zip(sources, cells, strict=True):
            for b, cell in zip(targets, row, strict=True):
                self._known[profile, a, b] = (0, 0) if a == b else cell
                if self.symmetric:
                    self._known[profile, b, a] = self._known[profile, a, b]


def _json(name: str, send: Callable[[], httpx2.Response]) -> Any:
    try:
        answer = send()
        answer.raise_for_status()
        return answer.json()
    except (httpx2.HTTPError, ValueError) as error:
        raise RoadsError(f"{name} request failed: {error}") from error


def _cell(metres: float | None, seconds: float | None) -> tuple[int, int]:
    return (NO_WAY, NO_WAY) if metres is None or seconds is None else (ceil(metres), ceil(seconds))


def _metres(kilometres: float | None) -> float | None:
    return None if kilometres is None else round(kilometres * 1000, 3)
