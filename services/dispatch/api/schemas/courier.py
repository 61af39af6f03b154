"""Request and response models of couriers: shifts, routes and uploads. Times are RFC 3339 with offset."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.events.orders import GoodsLine
from contracts.values import Slug, Token
from services.dispatch.domain.access import shows_person
from services.dispatch.domain.courier import Shift
from services.dispatch.repository.store import RouteJob
from services.kit.http.body import Body
from services.kit.http.bounded import Instant
from services.kit.ids import Id
from services.kit.transaction.access_log import Shown
from services.kit.uploads.signed import PrevHash, Signature
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
            raise ValueError("exactly one of wave and market_day is required")
        if self.from_at >= self.until_at:
            raise ValueError("until must be after from")
        return self

    def shift(self, id: UUID, courier: str) -> Shift:
        """Return the shift of this courier under this id."""
        return Shift(id, courier, self.wave, self.market_day, self.from_at, self.until_at)


class ShiftView(BaseModel):
    """A recorded shift."""

    model_config = ConfigDict(serialize_by_alias=True)

    shift: UUID
    courier: str
    wave: str | None
    market_day: str | None
    from_at: datetime = Field(serialization_alias="from")
    until_at: datetime = Field(serialization_alias="until")

    @classmethod
    def of(cls, shift: Shift) -> Self:
        """Return the view of a shift."""
        return cls(
            shift=shift.id,
            courier=shift.courier,
            wave=shift.wave,
            market_day=shift.market_day,
            from_at=shift.from_at,
            until_at=shift.until_at,
        )


class SyncBody(Body):
    """The uploads of a courier's device, any number of times. `device` may be given once for all.

    A device with a key sends consecutive records without hashes, the link before the first as `prev_hash`, and the
    `signature` over the last link. With a local token they come in any order, unsigned.
    """

    device: Token | None = None
    uploads: list[UploadIn] = Field(max_length=200)
    prev_hash: PrevHash | None = None
    signature: Signature | None = None

    @model_validator(mode="after")
    def _each_has_a_device(self) -> Self:
        if self.device is None and any(upload.device is None for upload in self.uploads):
            raise ValueError("device is required here or in each upload")
        return self


class SessionState(BaseModel):
    """The state of a session: 1 up to `received_through` have arrived; the ranges in `gaps` (inclusive) are missing
    after it."""

    device: str
    session: str
    received_through: int
    gaps: list[tuple[int, int]]


class SyncView(BaseModel):
    """One answer per upload, in order (`applied`, `repeated`, `conflict`, `kept`, `quarantined`; `stale` and `refused`
    are evidence only, and give the reason), and the state of each session in the request.
    """

    uploads: list[UploadAnswer]
    sessions: list[SessionState]


class Person(BaseModel):
    """A recipient and the address."""

    name: str | None
    phone: str | None
    address: str | None
    lat: float | None
    lon: float | None


class RouteStop(BaseModel):
    """A stop of a courier's route; `recipient` is shown while the job is open, at most until four hours after its slot
    and until the end of the courier's last shift, and null otherwise."""

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

    @property
    def shown(self) -> tuple[Shown, ...]:
        """The classes of personal data in this stop."""
        return (Shown.PERSON, Shown.ADDRESS) if self.recipient else ()

    @classmethod
    def of(cls, found: RouteJob, now: datetime, margin: timedelta) -> Self:
        """Return the stop of a job in a wave, as its courier sees it at `now`; `margin` as in `shows_person`."""
        job = found.job
        assert job.slot
        is_shown = shows_person(job, released=found.released, shift_until=found.shift_until, now=now, margin=margin)
        person = Person(**asdict(found.recipient)) if is_shown else None
        return cls(**asdict(job), **asdict(job.slot), job=job.id, recipient=person)


class CourierRoute(BaseModel):
    """A courier's jobs of the released waves, in the order of their times."""

    courier: str
    stops: list[RouteStop]
