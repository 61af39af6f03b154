"""Response models of a wave's plan. Times are RFC 3339 with offset, distances metres, costs fen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel

from services.dispatch.planning.diff import Diff, Spot
from services.dispatch.planning.plan import Plan, Trip, Unserved

Jobs = Mapping[UUID, dict[str, Any]]
"""The rows of `queries.stops` by job."""


class StopView(BaseModel):
    """A stop of a plan. `state` is the job's state now; `lat` and `lon` are null once the recipient is erased."""

    job: UUID
    order: UUID
    eta: datetime
    state: str
    load_g: int
    cold_ml: int
    lat: float | None
    lon: float | None


class TripView(BaseModel):
    """A trip from the station and back, with its load."""

    start: datetime
    end: datetime
    load_g: int
    cold_ml: int
    stops: list[StopView]

    @classmethod
    def of(cls, trip: Trip, jobs: Jobs) -> Self:
        """Return the view of a planned trip."""
        stops = [StopView(**jobs[UUID(stop.order)], eta=instant(stop.eta_s)) for stop in trip.stops]
        load_g, cold_ml = sum(stop.load_g for stop in stops), sum(stop.cold_ml for stop in stops)
        return cls(start=instant(trip.start_s), end=instant(trip.end_s), load_g=load_g, cold_ml=cold_ml, stops=stops)


class RouteView(BaseModel):
    """A courier's trips in a wave."""

    courier: str
    trips: list[TripView]


class UnservedView(BaseModel):
    """A job that the plan does not serve, the reason, a correction, and each courier's reason where they differ."""

    job: UUID
    reason: str
    mend: str
    couriers: dict[str, str]

    @classmethod
    def of(cls, unserved: Unserved) -> Self:
        """Return the view of an unserved order."""
        couriers = {obstacle.courier: obstacle.reason for obstacle in unserved.couriers}
        return cls(job=UUID(unserved.order), reason=unserved.reason, mend=unserved.mend, couriers=couriers)


class SpotView(BaseModel):
    """The place of a job in a plan; trips and stops count from 1."""

    courier: str
    trip: int
    stop: int
    eta: datetime

    @classmethod
    def of(cls, spot: Spot | None) -> Self | None:
        """Return the view of a place; None without one."""
        return cls(courier=spot.courier, trip=spot.trip, stop=spot.stop, eta=instant(spot.eta_s)) if spot else None


class ChangeView(BaseModel):
    """A job with another time, place in the order, or courier; null: it is not in that plan."""

    job: UUID
    was: SpotView | None
    now: SpotView | None


class DiffView(BaseModel):
    """The changes of a plan since that of version `since`: metres and fen are after minus before, `moved` counts the
    jobs that change their courier or trip, are added or removed."""

    since: int
    metres: int
    cost_fen: int
    moved: int
    changes: list[ChangeView]

    @classmethod
    def of(cls, since: int, diff: Diff) -> Self:
        """Return the view of the planner's diff."""
        changes = [
            ChangeView(job=UUID(change.order), was=SpotView.of(change.was), now=SpotView.of(change.now))
            for change in diff.changes
        ]
        return cls(since=since, metres=diff.metres, cost_fen=diff.cost_fen, moved=diff.moved, changes=changes)


class PlanView(BaseModel):
    """The current plan of a wave; `geojson` draws it (RFC 7946: a point for each stop, a line for each trip).

    `diff` lists its changes against the plan before; null for the first one.
    """

    wave: str
    version: int
    planner: str
    metres: int
    routes: list[RouteView]
    unserved: list[UnservedView]
    diff: DiffView | None
    geojson: dict[str, Any]

    @classmethod
    def of(
        cls, wave: str, version: int, plan: Plan, diff: DiffView | None, jobs: Jobs, station: tuple[float, float] | None
    ) -> Self:
        """Return the view of a plan. `station` is latitude and longitude; without it trips are not drawn."""
        routes = [
            RouteView(courier=route.courier, trips=[TripView.of(trip, jobs) for trip in route.trips])
            for route in plan.routes
        ]
        return cls(
            wave=wave,
            version=version,
            planner=plan.planner,
            metres=plan.metres,
            routes=routes,
            unserved=list(map(UnservedView.of, plan.unserved)),
            diff=diff,
            geojson={"type": "FeatureCollection", "features": [*_features(routes, station)]},
        )


def instant(seconds: int) -> datetime:
    """Return the planner's second as an instant."""
    return datetime.fromtimestamp(seconds, UTC)


def _features(routes: list[RouteView], station: tuple[float, float] | None) -> Iterator[dict[str, Any]]:
    start = [[station[1], station[0]]] if station else []
    for route in routes:
        for n, trip in enumerate(route.trips, 1):
            points = [[stop.lon, stop.lat] for stop in trip.stops if stop.lat is not None]
            properties = {"courier": route.courier, "trip": n}
            if points and start:
                yield _feature("LineString", [*start, *points, *start], properties)
            for stop in trip.stops:
                if stop.lat is not None:
                    about = properties | {"job": str(stop.job), "state": stop.state}
                    yield _feature("Point", [stop.lon, stop.lat], about)


def _feature(kind: str, coordinates: list[Any], properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}
