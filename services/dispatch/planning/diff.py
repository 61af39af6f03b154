"""The difference of two plans, stop by stop, with its cost."""

from __future__ import annotations

from pydantic.dataclasses import dataclass

from services.dispatch.planning.plan import Plan


@dataclass(frozen=True, slots=True)
class Spot:
    """The position of an order in a plan; trips and stops count from 1."""

    courier: str
    trip: int
    stop: int
    eta_s: int


@dataclass(frozen=True, slots=True)
class Change:
    """An order with a changed courier, trip, position or time; None means unserved."""

    order: str
    was: Spot | None
    now: Spot | None


@dataclass(frozen=True, slots=True)
class Diff:
    """All changes; metres and fen are after minus before. Applied to the first plan they give the second."""

    changes: tuple[Change, ...]
    metres: int
    cost_fen: int

    @property
    def moved(self) -> int:
        """The number of orders that change their courier or trip, become served or unserved."""
        return sum(_trip(change.was) != _trip(change.now) for change in self.changes)


def difference(before: Plan, after: Plan) -> Diff:
    """Return the changes, sorted by order id. An order that neither plan serves is no change."""
    was, now = _spots(before), _spots(after)
    changed = [id for id in sorted(was.keys() | now.keys()) if was.get(id) != now.get(id)]
    changes = tuple(Change(id, was.get(id), now.get(id)) for id in changed)
    return Diff(changes, after.metres - before.metres, after.cost_fen - before.cost_fen)


def _spots(plan: Plan) -> dict[str, Spot]:
    return {
        stop.order: Spot(route.courier, trip, n, stop.eta_s)
        for route in plan.routes
        for trip, made in enumerate(route.trips, 1)
        for n, stop in enumerate(made.stops, 1)
    }


def _trip(spot: Spot | None) -> tuple[str, int] | None:
    return (spot.courier, spot.trip) if spot else None
