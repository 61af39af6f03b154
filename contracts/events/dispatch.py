"""What dispatch is told and what it publishes: delivery jobs and waves."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel, Field

from contracts.envelope import Event
from contracts.events.orders import GoodsLine
from contracts.values import Digest, Instant, Pool, Proof, Slug, UndeliveredReason, Words


class DispatchCommand(Event, topic="dispatch.command.v1"):
    """A command about one order's delivery; key and subject are the order. Always answered."""

    order: UUID
    pool: Pool
    reservation: UUID

    @property
    def key(self) -> str:
        return str(self.order)


class Quote(BaseModel):
    """A delivery promise that the buyer was shown, with the MAC that only dispatch can verify."""

    community: Slug
    wave: Slug
    slot_from: Instant
    slot_until: Instant
    until: Instant
    mac: Digest


class ScheduleDelivery(DispatchCommand):
    """Deliver these goods; the recipient comes by the private topic."""

    market_day: Slug
    community: Slug
    lines: list[GoodsLine]
    quote: Quote | None = None


class CancelDelivery(DispatchCommand):
    """Do not deliver. Unknown: remembered, so that a late schedule is cancelled at once."""


class JobEvent(Event, topic="dispatch.job.v1"):
    """A step of a delivery job; key is the order, subject the job."""

    job: UUID
    order: UUID
    pool: Pool
    reservation: UUID
    lines: list[GoodsLine] = []

    @property
    def key(self) -> str:
        return str(self.order)

    @property
    def subject(self) -> str:
        return str(self.job)


class JobPlanned(JobEvent):
    """Has a place in a wave; `as_promised` is false where the slot is later than the quote."""

    wave: Slug
    slot_from: Instant
    slot_until: Instant
    as_promised: bool = True


class JobRefused(JobEvent):
    """Cannot be delivered: why."""

    reason: Words


class JobAssigned(JobEvent):
    """A courier has it; `epoch` fences what an earlier courier still reports."""

    wave: Slug
    courier: Slug
    epoch: int
    trip: int = Field(ge=1)
    eta: Instant


class JobLoaded(JobEvent):
    """Custody taken at the station: fixed to this vehicle."""

    courier: Slug
    epoch: int


class JobDelivered(JobEvent):
    """Handed over; the proof is bound to this job."""

    courier: Slug
    epoch: int
    proof: Proof = Proof.CODE
    delivered_at: Instant = Field(description="device time; with clock_invalid the time of receipt")
    clock_invalid: bool = Field(default=False, description="the device gave no usable time")


class AttemptFailed(JobEvent):
    """A try that did not succeed; the job goes on."""

    courier: Slug
    epoch: int
    attempt: int = Field(ge=1)
    reason: UndeliveredReason


class JobReturned(JobEvent):
    """The goods are back at the station."""

    courier: Slug
    epoch: int
    reason: UndeliveredReason = UndeliveredReason.OTHER


class JobCancelled(JobEvent):
    """Will not be delivered; also the answer for an order never heard of."""


class CancelRefused(JobEvent):
    """Too late: the routes are handed out."""

    reason: Words


class WaveEvent(Event, topic="dispatch.wave.v1"):
    """A step of a wave."""

    wave: Slug

    @property
    def key(self) -> str:
        return self.wave


class WaveOpened(WaveEvent):
    """Takes jobs until its cutoff."""

    market_day: Slug
    station: Slug
    slot_from: Instant
    slot_until: Instant
    cutoff: Instant
    capacity: int


class WaveCut(WaveEvent):
    """Promised to nobody any more; its plan may still take late jobs until it is released."""

    jobs: int


class WavePlanned(WaveEvent):
    """Has routes: how many, how far, how many stops in time; `planner` says which one made them. Told again with a
    higher version whenever its plan changes before the release; `unserved` counts what all its plans left out."""

    version: int
    planner: Words
    routes: int
    stops: int
    metres: int
    unserved: int
    on_time: int


class WaveReleased(WaveEvent):
    """The routes are handed out: cancels are refused from here on."""

    version: int
    couriers: int


class WaveDone(WaveEvent):
    """Every job of it has ended."""

    delivered: int
    returned: int
