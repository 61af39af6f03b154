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
    """Out of the station and back: loading begins at `start_s`; back at `end_s`, the last trip at the courier's end."""

    start_s: int
    end_s: int
    stops: tuple[Stop, ...]


@dataclass(frozen=True, slots=True)
class Rest:
    """When a break is taken."""

    start_s: int
    end_s: int


@dataclass(frozen=True, slots=True)
class Route:
    """A courier's trips in order and its breaks in the order of the courier's; couriers without a trip are left out."""

    courier: str
    trips: tuple[Trip, ...]
    breaks: tuple[Rest, ...] = ()


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why one courier can't serve an order, in words."""

    courier: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unserved:
    """An order that the plan does not serve, the binding reason in words, what would mend it, and each courier's."""

    order: str
    reason: str
    mend: str = ""
    couriers: tuple[Obstacle, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Routes and unserved orders; `planner` names who made it.

    `metres` is the distance of all trips, with the ways from couriers' starts and to their ends. `cost_fen` is what
    is paid for metres, hours (from leaving the start to the end of the last trip) and used couriers, and the prizes
    that are lost; required orders left out are not in it.
    """

    routes: tuple[Route, ...]
    unserved: tuple[Unserved, ...]
    metres: int
    planner: str
    cost_fen: int = 0

    @property
    def stops(self) -> int:
        """How many orders are served."""
        return sum(len(trip.stops) for route in self.routes for trip in route.trips)
