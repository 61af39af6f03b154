"""A plan: for each courier its trips, for each trip its stops, and every order that none of them serves with why."""

from __future__ import annotations

from pydantic.dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stop:
    """An order and when its service begins (`eta_s`, never before its window)."""

    order: str
    eta_s: int


@dataclass(frozen=True, slots=True)
class Trip:
    """Out of the station and back: loading begins at `start_s`, back at `end_s`."""

    start_s: int
    end_s: int
    stops: tuple[Stop, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """A courier's trips in order; couriers without one are left out of a plan."""

    courier: str
    trips: tuple[Trip, ...]


@dataclass(frozen=True, slots=True)
class Unserved:
    """An order that the plan does not serve, and the binding reason in words."""

    order: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Routes and unserved orders; `metres` is the distance of all trips, `planner` the name of who made it."""

    routes: tuple[Route, ...]
    unserved: tuple[Unserved, ...]
    metres: int
    planner: str

    @property
    def stops(self) -> int:
        """How many orders are served."""
        return sum(len(trip.stops) for route in self.routes for trip in route.trips)
