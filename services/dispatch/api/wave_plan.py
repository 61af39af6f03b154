"""The plan of a wave, seen and drawn, and the problem behind it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from contracts.values import Slug
from services.dispatch.api.common import OPERATOR, Running, polled
from services.dispatch.api.schemas.plan import DiffView, PlanView, RouteView, StopView, TripView, UnservedView, instant
from services.dispatch.planning.diff import difference
from services.dispatch.planning.plan import Trip
from services.dispatch.planning.problem import RoutingProblem
from services.dispatch.repository import queries
from services.dispatch.repository.planning import problem_of
from services.kit.http.problems import conflict, not_found

router = APIRouter(prefix="/v1/waves", tags=["waves"], dependencies=[OPERATOR])


@router.get("/{wave}/plan", response_model=PlanView)
async def plan(running: Running, request: Request, wave: Slug) -> Response:
    """The plan that the wave goes by, why it leaves jobs out, what it changes in the plan before, and a drawing; 404
    before there is one."""
    found = await queries.plans(running.pool, wave, 2)
    if not found:
        raise not_found(f"A plan of wave {wave}")
    (version, made), *before = found
    stops = [UUID(stop.order) for route in made.routes for trip in route.trips for stop in trip.stops]
    jobs = await queries.stops(running.pool, stops)
    routes = [RouteView(courier=r.courier, trips=[_trip(trip, jobs) for trip in r.trips]) for r in made.routes]
    view = PlanView(
        wave=wave,
        version=version,
        planner=made.planner,
        metres=made.metres,
        routes=routes,
        unserved=list(map(UnservedView.of, made.unserved)),
        diff=DiffView.of(before[0][0], difference(before[0][1], made)) if before else None,
        geojson={"type": "FeatureCollection", "features": [*_drawn(routes, await queries.station(running.pool, wave))]},
    )
    return polled(request, view)


@router.get("/{wave}/problem")
async def problem(running: Running, wave: Slug) -> RoutingProblem:
    """What the wave carries as a routing problem, also when it is over: for `POST /v1/plan` and what-ifs.

    Orders whose recipient was erased are not in it. 404 where the wave is unknown, 409 `blocked` where its station
    can't be used.
    """
    found = await problem_of(running.pool, wave)
    if found is None:
        raise not_found(f"Wave {wave}")
    if found.problem is None:
        raise conflict(f"Wave {wave} has no problem: {found.obstacle}", "blocked")
    return found.problem


def _trip(trip: Trip, jobs: dict[UUID, dict[str, Any]]) -> TripView:
    stops = [StopView(**jobs[UUID(stop.order)], eta=instant(stop.eta_s)) for stop in trip.stops]
    load_g, cold_ml = sum(stop.load_g for stop in stops), sum(stop.cold_ml for stop in stops)
    return TripView(start=instant(trip.start_s), end=instant(trip.end_s), load_g=load_g, cold_ml=cold_ml, stops=stops)


def _drawn(routes: list[RouteView], station: tuple[float, float] | None) -> Iterator[dict[str, Any]]:
    home = [[station[1], station[0]]] if station else []
    for route in routes:
        for n, trip in enumerate(route.trips, 1):
            points = [[stop.lon, stop.lat] for stop in trip.stops if stop.lat is not None]
            about = {"courier": route.courier, "trip": n}
            if points and home:
                yield _feature("LineString", [*home, *points, *home], about)
            for stop in trip.stops:
                if stop.lat is not None:
                    yield _feature("Point", [stop.lon, stop.lat], about | {"job": str(stop.job), "state": stop.state})


def _feature(kind: str, coordinates: list[Any], about: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": about}
