"""The two measured solvers: our search, and PyVRP as its users call it."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np
from pyvrp import Client, Depot, Location, ProblemData, VehicleType, solve
from pyvrp.stop import MaxRuntime

from services.dispatch.planning.search import search
from tests.bench.routing.instance_fleet import of_instance
from tests.bench.routing.literature import SCALE, Instance

Routes = list[list[int]]


@dataclass(frozen=True, slots=True)
class Answer:
    """Routes (a 0 inside is a reload) and the seconds on the clock from the call to the answer."""

    routes: Routes
    wall_s: float


def ours(instance: Instance, seconds: float, seed: int, threads: int, rounds: int | None = None) -> Answer:
    """Run our search. Building the fleet and its neighbour lists counts towards the seconds.

    With `rounds` instead of seconds, equal calls give equal routes on any machine.
    """
    began = time.monotonic()
    fleet = of_instance(instance)
    left = seconds - (time.monotonic() - began)
    days = search.search(fleet, left, seed, {}, rounds, threads)
    wall = time.monotonic() - began
    return Answer([_joined(trips) for trips in days.values()], wall)


def peer(instance: Instance, seconds: float, seed: int, threads: int) -> Answer:
    """Run plain PyVRP: the best of `threads` seeds in parallel, each in its own process. Its data are built before the
    seconds begin."""
    data = model(instance)
    runs = []
    for n in range(threads):
        pipe, theirs = multiprocessing.Pipe()
        child = multiprocessing.get_context("fork").Process(
            target=_plain, args=(data, seconds, seed * threads + n, theirs)
        )
        child.start()
        runs.append((child, pipe))
    found: list[tuple[float, Answer]] = [pipe.recv() for _, pipe in runs]
    for child, _ in runs:
        child.join()
    return min(found, key=lambda one: one[0])[1]


def _plain(data: ProblemData, seconds: float, seed: int, pipe: Connection) -> None:
    began = time.monotonic()
    result = solve(data, MaxRuntime(seconds), seed, collect_stats=False)
    wall = time.monotonic() - began
    pipe.send((result.cost(), Answer([_stops(route) for route in result.best.routes()], wall)))


def _stops(route: Sequence[object]) -> list[int]:
    """Return the route's clients, from 1, with a 0 for each reload in the middle."""
    stops = [0 if activity.is_depot() else activity.idx + 1 for activity in route]  # type: ignore[attr-defined]
    while stops and stops[0] == 0:
        del stops[0]
    while stops and stops[-1] == 0:
        del stops[-1]
    return stops


def model(instance: Instance) -> ProblemData:
    """Return the instance as PyVRP's own reader would."""
    places = np.array([(stop.x, stop.y) for stop in instance.stops])
    across = places[:, None, :] - places[None, :, :]
    ways = (SCALE * np.sqrt((across * across).sum(axis=2))).astype(np.int64)
    depot = instance.stops[0]
    fleet = VehicleType(
        instance.vehicles,
        [instance.capacity],
        tw_early=depot.ready,
        tw_late=depot.due,
        reload_depots=[0] if instance.reloads else [],
    )
    clients = [
        Client(
            n, [stop.demand], service_duration=stop.service, tw_early=stop.ready, tw_late=stop.due,
            release_time=stop.release,
        )
        for n, stop in enumerate(instance.stops) if n
    ]  # fmt: skip
    return ProblemData([Location(x, y) for x, y in places.tolist()], clients, [Depot(0)], [fleet], [ways], [ways])


def _joined(trips: list[list[int]]) -> list[int]:
    return [stop for n, trip in enumerate(trips) for stop in ([0, *trip] if n else trip)]
