"""Commands to dispatch and events that it publishes: delivery jobs and waves."""

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
    """Deliver these goods. The recipient is on the private topic."""

    market_day: Slug
    community: Slug
    lines: list[GoodsLine]
    quote: Quote | None = None


class CancelDelivery(DispatchCommand):
    """Do not deliver. For an unknown order it is remembered, so that a late schedule is cancelled at once."""


class JobEvent(Event, topic="dispatch.job.v1"):
    """A state change of a delivery job; key is the order, subject the job."""

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
    """Placed in a wave; `as_promised` is false where the slot is later than the quote."""

    wave: Slug
    slot_from: Instant
    slot_until: Instant
    as_promised: bool = True


class JobRefused(JobEvent):
    """Refused: the order cannot be delivered, for this reason."""

    reason: Words


class JobAssigned(JobEvent):
    """Assigned to a courier; `epoch` fences reports of an earlier one."""

    wave: Slug
    courier: Slug
    epoch: int
    trip: int = Field(ge=1)
    eta: Instant


class JobLoaded(JobEvent):
    """Loaded at the station: the courier has custody, and the job is fixed to this vehicle."""

    courier: Slug
    epoch: int


class JobDelivered(JobEvent):
    """Delivered; the proof is bound to this job."""

    courier: Slug
    epoch: int
    proof: Proof = Proof.CODE
    delivered_at: Instant = Field(description="device time; with clock_invalid the time of receipt")
    clock_invalid: bool = Field(default=False, description="the device gave no usable time")


class AttemptFailed(JobEvent):
    """Failed attempt at delivery; the job continues."""

    courier: Slug
    epoch: int
    attempt: int = Field(ge=1)
    reason: UndeliveredReason


class JobReturned(JobEvent):
    """Returned: the goods are back at the station."""

    courier: Slug
    epoch: int
    reason: UndeliveredReason = UndeliveredReason.OTHER


class JobCancelled(JobEvent):
    """Cancelled: it will not be delivered. Also the answer about an unknown order."""


class CancelRefused(JobEvent):
    """Cancel refused: too late, the routes are released."""

    reason: Words


class WaveEvent(Event, topic="dispatch.wave.v1"):
    """A state change of a wave."""

    wave: Slug

    @property
    def key(self) -> str:
        return self.wave


class WaveOpened(WaveEvent):
    """Wave opened: it takes jobs until its cutoff."""

    market_day: Slug
    station: Slug
    slot_from: Instant
    slot_until: Instant
    cutoff: Instant
    capacity: int


class WaveCut(WaveEvent):
    """Wave closed to promises. Its plan may still take late jobs until it is released."""

    jobs: int


class WavePlanned(WaveEvent):
    """Wave planned: number of routes, distance, stops in time; `planner` names the planner that made them. Published
    again with a higher version whenever its plan changes before the release; `unserved` counts the jobs that all its
    plans left out."""

    version: int
    planner: Words
    routes: int
    stops: int
    metres: int
    unserved: int
    on_time: int


class WaveReleased(WaveEvent):
    """Routes released to the couriers: cancels are refused from here on."""

    version: int
    couriers: int


class WaveDone(WaveEvent):
    """Wave done: all its jobs have ended."""

    delivered: int
    returned: int
