"""The rights of a caller on waves, jobs and couriers. Pure; the scope of the route was checked before."""

from __future__ import annotations

from datetime import datetime, timedelta

from contracts.values import Principal
from services.dispatch.domain.job.job import HANDED_OUT, Job

PERSON_AFTER_SLOT = timedelta(hours=4)
"""Business time after its slot for which a courier still sees the recipient of a job that was not ended."""


def may_manage(caller: Principal, station: str) -> bool:
    """Return True if the station of a wave is within the caller's bounds."""
    return caller.bounds.permit("stations", station)


def may_drive_as(caller: Principal, courier: str) -> bool:
    """Return True if the caller may read and report as this courier: the courier's device is bound to one."""
    return caller.bounds.permit("couriers", courier)


def shows_person(job: Job, now: datetime) -> bool:
    """Return True if the courier of a job sees its recipient at `now` (business time): while the job is handed out, and
    until a while after its slot, so that a forgotten job does not show a door for ever.
    """
    return job.state in HANDED_OUT and job.slot is not None and now < job.slot.slot_until + PERSON_AFTER_SLOT
