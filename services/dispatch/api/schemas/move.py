"""Request and response models of moves by hand."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, Strict, StrictBool

from contracts.values import Slug
from services.dispatch.api.schemas.plan import DiffView
from services.dispatch.commands.move import Move
from services.kit.http.body import Body
from services.kit.ids import Id


class MoveBody(Body):
    """One move by hand: `jobs` go into the courier's `trip` (from 1), before the job `before` or at its end.

    They keep the order in which the plan serves them; all jobs of a trip move the trip. `new_trip` makes one in that
    place; one past the last is always new. Trips are counted as the moves before this one left them.
    """

    jobs: list[Id] = Field(min_length=1, max_length=500)
    courier: Slug
    trip: Annotated[int, Strict(), Field(ge=1, le=100)]
    before: Id | None = None
    new_trip: StrictBool = False

    def command(self) -> Move:
        """Return the move as the use case takes it."""
        return Move(tuple(self.jobs), self.courier, self.trip, self.before, self.new_trip)


class MovesBody(Body):
    """Moves that are applied together or not at all, to the plan of this `version` of the wave."""

    version: Annotated[int, Strict(), Field(ge=1, le=2**31 - 2)]
    moves: list[MoveBody] = Field(min_length=1, max_length=50)


class PlanChange(BaseModel):
    """The changes that moves make. `applied`: they are the wave's plan now, at `version`; else nothing has changed."""

    wave: str
    version: int
    applied: bool
    diff: DiffView
