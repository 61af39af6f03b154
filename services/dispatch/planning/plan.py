"""A plan: the trips of each courier, the stops of each trip, and the unserved orders with reasons."""

from __future__ import annotations

from pydantic.dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop: an order and the begin of its service (`eta_s`, never before its window)."""

    order: str
    eta_s: int


@dataclass(frozen=True, slots=True)
class Trip:
    """A trip from the station and back: loading begins at `start_s`, it ends at `end_s`; the last one at the courier's
    own end place."""

    start_s: int
    end_s: int
    stops: tuple[Stop, ...]


@dataclass(frozen=True, slots=True)
class Rest:
    """The time at which a break is taken."""

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
    """The reason for which one courier can't serve an order, as text."""

    courier: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unserved:
    """An unserved order: the binding reason, a change that would allow it (`mend`), and each courier's reason."""

    order: str
    reason: str
    mend: str = ""
    couriers: tuple[Obstacle, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Routes and unserved orders; `planner` names the solver that made it.

    `metres` is the distance of all trips, with the legs from couriers' starts and to their ends. `cost_fen` is the
    pay for metres, hours (from leaving the start to the end of the last trip) and used couriers, plus the prizes of
    unserved optional orders; unserved required orders are not in it.
    """

    routes: tuple[Route, ...]
    unserved: tuple[Unserved, ...]
    metres: int
    planner: str
    cost_fen: int = 0

    @property
    def stops(self) -> int:
        """The number of served orders."""
        return sum(len(trip.stops) for route in self.routes for trip in route.trips)
