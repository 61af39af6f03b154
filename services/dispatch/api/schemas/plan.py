"""What the desk sends about a wave's plan and what it is shown of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, Field, Strict, StrictBool

from contracts.values import Slug
from services.dispatch.planning.diff import Diff, Spot
from services.dispatch.planning.plan import Unserved
from services.kit.http.body import Body
from services.kit.ids import Id


class MoveBody(Body):
    """One move by hand: `jobs` go into the courier's `trip` (from 1), ahead of the job `before` or at its end.

    They keep the order in which the plan serves them; all jobs of a trip move the trip. `new_trip` makes one in that
    place; one past the last is always new. Trips are counted as the moves before this one left them.
    """

    jobs: list[Id] = Field(min_length=1, max_length=500)
    courier: Slug
    trip: Annotated[int, Strict(), Field(ge=1, le=100)]
    before: Id | None = None
    new_trip: StrictBool = False


class MovesBody(Body):
    """Moves that belong together: all of them or none, onto the plan of this `version` of the wave."""

    version: Annotated[int, Strict(), Field(ge=1, le=2**31 - 2)]
    moves: list[MoveBody] = Field(min_length=1, max_length=50)


class StopView(BaseModel):
    """A stop of a plan. `state` is the job's state now; `lat` and `lon` are gone once the recipient is erased."""

    job: UUID
    order: UUID
    eta: datetime
    state: str
    load_g: int
    cold_ml: int
    lat: float | None
    lon: float | None


class TripView(BaseModel):
    """A trip: out of the station and back, with what it carries."""

    start: datetime
    end: datetime
    load_g: int
    cold_ml: int
    stops: list[StopView]


class RouteView(BaseModel):
    """A courier's trips in a wave."""

    courier: str
    trips: list[TripView]


class UnservedView(BaseModel):
    """A job that the plan could not serve, why, what would mend it, and each courier's reason where they differ."""

    job: UUID
    reason: str
    mend: str
    couriers: dict[str, str]

    @classmethod
    def of(cls, left: Unserved) -> Self:
        """What the planner says of it."""
        couriers = {one.courier: one.reason for one in left.couriers}
        return cls(job=UUID(left.order), reason=left.reason, mend=left.mend, couriers=couriers)


class SpotView(BaseModel):
    """Where a job stands in a plan; trips and stops count from 1."""

    courier: str
    trip: int
    stop: int
    eta: datetime

    @classmethod
    def of(cls, spot: Spot | None) -> Self | None:
        """As the planner has it."""
        return cls(courier=spot.courier, trip=spot.trip, stop=spot.stop, eta=instant(spot.eta_s)) if spot else None


class ChangeView(BaseModel):
    """A job that comes at another time, place in the order, or by another courier; null: not in that plan."""

    job: UUID
    was: SpotView | None
    now: SpotView | None


class DiffView(BaseModel):
    """What a plan changes in that of version `since`: metres and fen are after minus before, `moved` counts the jobs
    that change their courier or trip, come in or fall out."""

    since: int
    metres: int
    cost_fen: int
    moved: int
    changes: list[ChangeView]

    @classmethod
    def of(cls, since: int, diff: Diff) -> Self:
        """As the planner has it."""
        changes = [
            ChangeView(job=UUID(change.order), was=SpotView.of(change.was), now=SpotView.of(change.now))
            for change in diff.changes
        ]
        return cls(since=since, metres=diff.metres, cost_fen=diff.cost_fen, moved=diff.moved, changes=changes)


class PlanChange(BaseModel):
    """What moves by hand change. `applied`: the wave goes by it now, at `version`; else nothing has happened."""

    wave: str
    version: int
    applied: bool
    diff: DiffView


class PlanView(BaseModel):
    """The plan that a wave goes by; `geojson` draws it (RFC 7946: a point a stop, a line a trip).

    `diff` says what it changes in the plan before; null for the first one.
    """

    wave: str
    version: int
    planner: str
    metres: int
    routes: list[RouteView]
    unserved: list[UnservedView]
    diff: DiffView | None
    geojson: dict[str, Any]


def instant(seconds: int) -> datetime:
    """The planner's second as an instant."""
    return datetime.fromtimestamp(seconds, UTC)
