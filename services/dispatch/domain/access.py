"""The rights of a caller on waves, jobs and couriers. Pure; the scope of the route was checked before."""

from __future__ import annotations

from datetime import datetime, timedelta

from contracts.values import Principal
from services.dispatch.domain.job.job import HANDED_OUT, Job


def may_manage(caller: Principal, station: str) -> bool:
    """Return True if the station of a wave is within the caller's bounds."""
    return caller.bounds.permit("stations", station)


def may_drive_as(caller: Principal, courier: str) -> bool:
    """Return True if the caller may read and report as this courier: the courier's device is bound to one."""
    return caller.bounds.permit("couriers", courier)


def shows_person(job: Job, *, released: bool, shift_until: datetime | None, now: datetime, margin: timedelta) -> bool:
    """Return True if the courier of a job sees its recipient at `now` (business time): while the job is handed out and
    its wave released, until `margin` after its slot, so that a forgotten job does not show a door for ever, and not
    after the end of the courier's last shift.
    """
    if not released or job.state not in HANDED_OUT or job.slot is None:
        return False
    return now < job.slot.slot_until + margin and (shift_until is None or now < shift_until)
