"""Waves: seen, cut, planned, released."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from contracts.values import Slug
from services.dispatch import waves
from services.dispatch.api.common import OPERATOR, Limit, Running, polled
from services.dispatch.domain.wave import State, Wave
from services.dispatch.planning.plan import Trip
from services.dispatch.planning.problem import Problem
from services.dispatch.repository import DispatchBook, views
from services.dispatch.repository.planning import problem_of
from services.dispatch.schemas import PlanView, RouteView, StopView, TripView, UnservedView, WavePage, WaveView
from services.kit.problems import conflict, not_found

router = APIRouter(prefix="/v1/waves", tags=["waves"], dependencies=[OPERATOR])


@router.get("")
async def listing(
    running: Running, market_day: Slug | None = None, state: State | None = None, limit: Limit = 100, cursor: str = ""
) -> WavePage:
    """Waves in order of id."""
    found = await views.waves(running.pool, market_day, state, cursor, limit)
    return WavePage(waves=[WaveView(**row) for row in found], next=found[-1]["id"] if len(found) == limit else None)


@router.get("/{wave}", response_model=WaveView)
async def one(running: Running, request: Request, wave: Slug) -> Response:
    """A wave, with an ETag for polling."""
    return polled(request, await _view(running, wave))


@router.post("/{wave}:cut")
async def cut(running: Running, wave: Slug) -> WaveView:
    """Cuts the wave now: no more jobs, and the planner begins. A wave that is cut already stays as it is."""
    async with running.unit() as uow:
        book = DispatchBook(uow, None)
        waves.cut(book, await _locked(book, wave))
        await book.save()
    return await _view(running, wave)


@router.post("/{wave}:release")
async def release(running: Running, wave: Slug) -> WaveView:
    """Hands the routes out: from here on cancels are refused. 409 before the wave is planned; repeatable."""
    async with running.unit() as uow:
        book = DispatchBook(uow, None)
        found = await _locked(book, wave)
        if found.state in {State.OPEN, State.CUT}:
            raise conflict(f"The wave is {found.state}: it has no plan yet", "not-planned")
        if found.state is State.PLANNED and (plan := await views.plan(uow.conn, wave)):
            await book.lock_jobs("wave", [wave])
            waves.release(book, found, plan[1])
            await book.save()
    return await _view(running, wave)


@router.get("/{wave}/plan", response_model=PlanView)
async def plan(running: Running, request: Request, wave: Slug) -> Response:
    """The plan that the wave goes by, with a drawing; 404 before it is planned."""
    found = await views.plan(running.pool, wave)
    if found is None:
        raise not_found(f"A plan of wave {wave}")
    version, made = found
    stops = [UUID(stop.order) for route in made.routes for trip in route.trips for stop in trip.stops]
    jobs = await views.stops(running.pool, stops)
    routes = [RouteView(courier=r.courier, trips=[_trip(trip, jobs) for trip in r.trips]) for r in made.routes]
    view = PlanView(
        wave=wave,
        version=version,
        planner=made.planner,
        metres=made.metres,
        routes=routes,
        unserved=[UnservedView(job=UUID(left.order), reason=left.reason) for left in made.unserved],
        geojson={"type": "FeatureCollection", "features": [*_drawn(routes, await views.station(running.pool, wave))]},
    )
    return polled(request, view)


@router.get("/{wave}/problem")
async def problem(running: Running, wave: Slug) -> Problem:
    """What the wave carries as a routing problem, also when it is over: for `POST /v1/plan` and what-ifs.

    Orders whose recipient was erased are not in it. 404 where the wave or its station is unknown.
    """
    found = await problem_of(running.pool, wave)
    if found is None or found[0] is None:
        raise not_found(f"A problem of wave {wave}")
    return found[0]


async def _locked(book: DispatchBook, wave: str) -> Wave:
    await book.lock_waves([wave])
    if wave not in book.waves:
        raise not_found(f"Wave {wave}")
    return book.waves[wave]


async def _view(running: Running, wave: str) -> WaveView:
    found = await views.wave(running.pool, wave)
    if found is None:
        raise not_found(f"Wave {wave}")
    return WaveView(**found)


def _trip(trip: Trip, jobs: dict[UUID, dict[str, Any]]) -> TripView:
    stops = [StopView(**jobs[UUID(stop.order)], eta=_at(stop.eta_s)) for stop in trip.stops]
    load_g, cold_ml = sum(stop.load_g for stop in stops), sum(stop.cold_ml for stop in stops)
    return TripView(start=_at(trip.start_s), end=_at(trip.end_s), load_g=load_g, cold_ml=cold_ml, stops=stops)


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


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
