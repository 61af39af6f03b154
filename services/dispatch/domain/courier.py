"""Couriers' shifts and reports, and the records that are made of reports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from contracts.values import UndeliveredReason


class ReportKind(StrEnum):
    """The step of a delivery that a courier reports."""

    ACCEPT = "accept"
    LOAD = "load"
    ARRIVE = "arrive"
    DELIVER = "deliver"
    FAIL = "fail"
    RETURN = "return"


class ReportVerdict(StrEnum):
    """The result of a report. The report is kept as evidence with any of them."""

    APPLIED = "applied"
    STALE = "stale"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Shift:
    """The time a courier works: for one wave, or for all waves of a market day."""

    id: UUID
    courier: str
    wave: str | None
    market_day: str | None
    from_at: datetime
    until_at: datetime


@dataclass(frozen=True, slots=True)
class Report:
    """A courier's report about a job in one epoch of its assignment.

    `code_right` is true when the receiver's code was given. `recorded_at` is the device's time, or the service's own
    where that was unusable (`clock_invalid`).
    """

    kind: ReportKind
    courier: str
    epoch: int
    recorded_at: datetime
    code_right: bool = False
    reason: UndeliveredReason = UndeliveredReason.OTHER
    clock_invalid: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """The n-th delivery attempt of a job; its `outcome` is `delivered` or `failed`."""

    job: UUID
    n: int
    courier: str
    epoch: int
    outcome: str
    reason: str
    recorded_at: datetime
    clock_invalid: bool
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """A courier's report and its result. The upload itself, with its body, is in `sequenced` under the same device,
    session and number.

    `code_right`: it is a valid proof of delivery, in any epoch. `note` is the courier's own text; it is never published
    and is deleted when the person is erased.
    """

    courier: str
    device: str
    session: str
    seq: int
    job: UUID
    epoch: int
    kind: str
    code_right: bool
    verdict: str
    why: str
    note: str
    recorded_at: datetime
    clock_invalid: bool
    received_at: datetime
