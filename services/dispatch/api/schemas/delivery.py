"""What clients send to dispatch and what it answers. Times are RFC 3339 with offset, weights grams, ways metres."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, Field, Strict, model_validator

from contracts.events.orders import GoodsLine
from contracts.values import Proof, Slug, Token, UndeliveredReason
from services.kit.http.body import Body
from services.kit.http.bounded import Instant, Int32
from services.kit.ids import Id
from services.kit.uploads.upload import UploadAnswer, UploadIn


class ShiftBody(Body):
    """A courier's shift for one wave or for a market day."""

    shift_id: Id | None = None
    wave: Slug | None = None
    market_day: Slug | None = None
    from_at: Instant = Field(alias="from")
    until_at: Instant = Field(alias="until")

    @model_validator(mode="after")
    def _one_scope_forward(self) -> Self:
        if (self.wave is None) == (self.market_day is None):
            raise ValueError("give either wave or market_day")
        if self.from_at >= self.until_at:
            raise ValueError("until must be after from")
        return self


class SyncBody(Body):
    """What a courier's device has recorded, in any order, any number of times. `device` may stand once for all."""

    device: Token | None = None
    uploads: list[UploadIn] = Field(max_length=200)

    @model_validator(mode="after")
    def _each_has_a_device(self) -> Self:
        if self.device is None and any(upload.device is None for upload in self.uploads):
            raise ValueError("give device here or in each upload")
        return self


class ReportBody(Body):
    """The body of an upload: which job, in which epoch of its assignment, and what the kind of report needs."""

    job: Id
    epoch: Int32
    code: str | None = Field(default=None, max_length=64)
    reason: str = Field(
        default=UndeliveredReason.OTHER,
        max_length=200,
        description="one of not-home, refused, wrong-address, damaged, other; any other text is `other`, and kept as a "
        "note",
    )
    note: str = Field(default="", max_length=200)
    proof: str = Field(
        default=Proof.CODE, max_length=200, description="`code`: the receiver's; any other text is kept as a note"
    )

    def why(self) -> tuple[UndeliveredReason, str]:
        """The code, and all words of the courier: they stay in this database."""
        beside = "" if self.proof == Proof.CODE else self.proof
        return UndeliveredReason.of(self.reason, "; ".join(filter(None, (self.note, beside))))


class ReassignBody(Body):
    """Gives a job to another courier, if its assignment is still the one that the caller looked at."""

    courier: Slug
    expected_epoch: Annotated[int, Strict(), Field(ge=1, le=2**31 - 2)]


class SessionState(BaseModel):
    """1 up to `received_through` have arrived; the ranges in `gaps` (inclusive) are missing after it."""

    device: str
    session: str
    received_through: int
    gaps: list[tuple[int, int]]


class Synced(BaseModel):
    """One answer per upload, in order (`applied`, `repeated`, `conflict`, `kept`; `stale` and `refused` are evidence
    only, and say why), and the state of each session in the request.
    """

    uploads: list[UploadAnswer]
    sessions: list[SessionState]


class PlanFigures(BaseModel):
    """A plan in numbers."""

    version: int
    planner: str
    routes: int
    stops: int
    metres: int
    unserved: int


class WaveView(BaseModel):
    """A wave as it stands; `jobs` counts its jobs by state. `blocked` says why it can't be planned, which is tried
    again every few seconds."""

    wave: str
    market_day: str
    station: str
    slot_from: datetime
    slot_until: datetime
    cutoff: datetime
    capacity: int
    state: str
    version: int
    blocked: str | None = None
    jobs: dict[str, int]
    plan: PlanFigures | None


class WavePage(BaseModel):
    """Waves in order of id; `next` is the cursor of the following page."""

    waves: list[WaveView]
    next: str | None


class JobView(BaseModel):
    """A job as it stands; `waits` says what an incomplete one lacks, `wrong_codes` counts in its epoch."""

    job: UUID
    order: UUID
    pool: str
    reservation: UUID
    market_day: str
    community: str
    state: str
    waits: list[str]
    lines: list[GoodsLine]
    wave: str | None
    slot_from: datetime | None
    slot_until: datetime | None
    as_promised: bool | None
    courier: str | None
    epoch: int
    trip: int
    stop: int
    eta: datetime | None
    attempts: int
    wrong_codes: int
    reason: str


class JobPage(BaseModel):
    """Jobs in order of id; `next` is the cursor of the following page."""

    jobs: list[JobView]
    next: str | None


class JobHistory(JobView):
    """A job with its tries at the door and everything that couriers reported about it."""

    tries: list[dict[str, Any]]
    evidence: list[dict[str, Any]]


class Person(BaseModel):
    """Who receives and where."""

    name: str | None
    phone: str | None
    address: str | None
    lat: float | None
    lon: float | None


class RouteStop(BaseModel):
    """A courier's next thing to do; `recipient` is shown while the job is open and not afterwards."""

    job: UUID
    order: UUID
    epoch: int
    state: str
    wave: str
    trip: int
    stop: int
    eta: datetime
    slot_from: datetime
    slot_until: datetime
    load_g: int
    cold_ml: int
    attempts: int
    lines: list[GoodsLine]
    recipient: Person | None


class CourierRoute(BaseModel):
    """A courier's jobs of the waves that are under way, in the order of their times."""

    courier: str
    stops: list[RouteStop]


class ShiftView(BaseModel):
    """A recorded shift."""

    shift: UUID
    courier: str
    wave: str | None
    market_day: str | None
    from_at: datetime = Field(serialization_alias="from")
    until_at: datetime = Field(serialization_alias="until")
