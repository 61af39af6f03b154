"""Request and response models of delivery jobs. Times are RFC 3339 with offset."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, Strict

from contracts.events.orders import GoodsLine
from contracts.values import Slug
from services.kit.http.body import Body


class ReassignBody(Body):
    """The courier who gets a job, if the job is still in the epoch that the caller has read."""

    courier: Slug
    expected_epoch: Annotated[int, Strict(), Field(ge=1, le=2**31 - 2)]


class JobView(BaseModel):
    """A job; `waits` lists the inputs that an incomplete one lacks, `wrong_codes` counts in its epoch."""

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


class AttemptView(BaseModel):
    """A delivery attempt; `outcome` is `delivered` or `failed`."""

    n: int
    courier: str
    epoch: int
    outcome: str
    reason: str
    recorded_at: datetime
    clock_invalid: bool
    received_at: datetime


class EvidenceView(BaseModel):
    """A courier's report with its verdict; `code_right`: it is a valid proof of delivery, in any epoch."""

    courier: str
    device: str
    session: str
    seq: int
    kind: str
    epoch: int
    code_right: bool
    verdict: str
    why: str
    note: str
    recorded_at: datetime
    clock_invalid: bool
    received_at: datetime


class JobHistory(JobView):
    """A job with its delivery attempts and all reports of couriers about it."""

    tries: list[AttemptView]
    evidence: list[EvidenceView]
