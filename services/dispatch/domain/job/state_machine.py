"""The state machine of a job: `decide` is pure, and total over state x message."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from contracts.envelope import Event
from contracts.events.dispatch import (
    AttemptFailed,
    CancelDelivery,
    CancelRefused,
    JobAssigned,
    JobCancelled,
    JobDelivered,
    JobLoaded,
    JobPlanned,
    JobRefused,
    JobReturned,
    ScheduleDelivery,
)
from services.dispatch.domain.courier import Report, ReportKind, ReportVerdict
from services.dispatch.domain.job.job import ENDED, HANDED_OUT, Job, JobState, Slot

E = TypeVar("E", bound=Event)

WRONG_CODES = 5
"""The wrong codes that lock an epoch of a job: after them no code is accepted in it, not even the right one."""
_NEEDS_DESK = "needs-desk"
_LOCKED_EPOCH = (
    f"{_NEEDS_DESK}: {WRONG_CODES} wrong codes were given; an operator must reassign the job, to this courier or "
    "another, before a code is accepted again"
)


@dataclass(frozen=True, slots=True)
class Placed:
    """The job gets a place in a wave, or in a later one."""

    slot: Slot


@dataclass(frozen=True, slots=True)
class Unplaced:
    """No wave can take the job, for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Assigned:
    """The job is assigned to a courier: by the release of its wave, or by a reassignment."""

    courier: str
    trip: int
    stop: int
    eta: datetime


Message = ScheduleDelivery | CancelDelivery | Placed | Unplaced | Assigned | Report


@dataclass(frozen=True, slots=True)
class JobDecision:
    """The job after a message and the events to publish, in order; for a report also the verdict and its reason."""

    job: Job
    events: tuple[Event, ...] = ()
    verdict: ReportVerdict = ReportVerdict.APPLIED
    why: str = ""


def decide(job: Job, message: Message) -> JobDecision:
    """Apply a message to a job. Total: a message that is late or repeated changes nothing.

    Every command is answered in the end: schedule by planned, refused or cancelled; cancel by cancelled or
    cancel-refused.
    """
    match message:
        case ScheduleDelivery():
            return _schedule(job, message)
        case CancelDelivery():
            return _cancel(job)
        case Placed(slot):
            if job.state not in {JobState.INCOMPLETE, JobState.PLANNED}:
                return JobDecision(job)
            placed = replace(job, state=JobState.PLANNED, slot=slot, waits=())
            return JobDecision(placed, (_planned(placed, slot),))
        case Unplaced(reason):
            if job.state not in {JobState.INCOMPLETE, JobState.PLANNED}:
                return JobDecision(job)
            refused = replace(job, state=JobState.REFUSED, slot=None, waits=(), reason=reason)
            return JobDecision(refused, (_event(JobRefused, refused, reason=reason),))
        case Assigned():
            return _assign(job, message)
        case Report():
            return _report(job, message)


def _schedule(job: Job, command: ScheduleDelivery) -> JobDecision:
    if job.state is JobState.NEW:
        state = JobState.INCOMPLETE
        terms: dict[str, Any] = {"market_day": command.market_day, "community": command.community}
        return JobDecision(replace(job, state=state, lines=tuple(command.lines), quote=command.quote, **terms))
    if job.state is JobState.CANCELLED:
        return JobDecision(job, (_event(JobCancelled, job),))
    if job.state is JobState.REFUSED:
        return JobDecision(job, (_event(JobRefused, job, reason=job.reason),))
    # An incomplete job is answered once it has a place.
    return JobDecision(job, (_planned(job, job.slot),) if job.slot else ())


def _cancel(job: Job) -> JobDecision:
    if job.state in HANDED_OUT | {JobState.DELIVERED, JobState.RETURNED}:
        why = "the routes are handed out" if job.state in HANDED_OUT else f"already {job.state}"
        return JobDecision(job, (_event(CancelRefused, job, reason=why),))
    state = JobState.REFUSED if job.state is JobState.REFUSED else JobState.CANCELLED
    ended = replace(job, state=state, waits=(), slot=None)
    return JobDecision(ended, (_event(JobCancelled, ended),))


def _assign(job: Job, assignment: Assigned) -> JobDecision:
    if job.slot is None or job.state not in HANDED_OUT | {JobState.PLANNED}:
        return JobDecision(job)
    state = JobState.ASSIGNED if job.state is JobState.PLANNED else job.state
    to: dict[str, Any] = {"courier": assignment.courier, "trip": assignment.trip, "eta": assignment.eta}
    assigned = replace(job, state=state, epoch=job.epoch + 1, wrong_codes=0, stop=assignment.stop, **to)
    return JobDecision(assigned, (_event(JobAssigned, assigned, wave=job.slot.wave, epoch=assigned.epoch, **to),))


def _report(job: Job, report: Report) -> JobDecision:
    if job.courier is None:
        return JobDecision(job, verdict=ReportVerdict.REFUSED, why=f"the job is {job.state}, with no courier")
    if (job.courier, job.epoch) != (report.courier, report.epoch):
        return JobDecision(job, verdict=ReportVerdict.STALE, why=f"the job is with {job.courier} in epoch {job.epoch}")
    loaded_again = report.kind is ReportKind.LOAD and job.state is not JobState.ASSIGNED
    if loaded_again or report.kind in {ReportKind.ACCEPT, ReportKind.ARRIVE}:
        return JobDecision(job)  # perhaps a later report arrived first and implied this one
    if job.state in ENDED:
        return JobDecision(job, verdict=ReportVerdict.STALE, why=f"the job is already {job.state}")
    if report.kind is ReportKind.DELIVER and job.wrong_codes >= WRONG_CODES:
        return JobDecision(job, verdict=ReportVerdict.REFUSED, why=_LOCKED_EPOCH)
    if report.kind is ReportKind.DELIVER and not report.code_right:
        tried = replace(job, wrong_codes=job.wrong_codes + 1)
        return JobDecision(tried, verdict=ReportVerdict.REFUSED, why="the code is not the receiver's")
    return _goods_moved(job, report)


def _goods_moved(job: Job, report: Report) -> JobDecision:
    # Anything that happens to the goods on the way implies that they were loaded, even if that report is missing.
    by: dict[str, Any] = {"courier": report.courier, "epoch": report.epoch}
    events: list[Event] = [] if job.state is JobState.LOADED else [_event(JobLoaded, job, **by)]
    after = replace(job, state=JobState.LOADED)
    if report.kind is ReportKind.DELIVER:
        after = replace(after, state=JobState.DELIVERED, attempts=job.attempts + 1)
        at: dict[str, Any] = {"delivered_at": report.recorded_at, "clock_invalid": report.clock_invalid}
        events.append(_event(JobDelivered, job, **at, **by))
    elif report.kind is ReportKind.FAIL:
        after = replace(after, attempts=job.attempts + 1, reason=report.reason)
        events.append(_event(AttemptFailed, job, attempt=after.attempts, reason=report.reason, **by))
    elif report.kind is ReportKind.RETURN:
        after = replace(after, state=JobState.RETURNED, reason=report.reason)
        events.append(_event(JobReturned, job, reason=report.reason, **by))
    return JobDecision(after, tuple(events))


def _planned(job: Job, slot: Slot) -> JobPlanned:
    return _event(
        JobPlanned,
        job,
        wave=slot.wave,
        slot_from=slot.slot_from,
        slot_until=slot.slot_until,
        as_promised=slot.as_promised,
    )


def _event(kind: type[E], job: Job, **more: Any) -> E:
    head: dict[str, Any] = {"job": job.id, "order": job.order, "pool": job.pool, "reservation": job.reservation}
    return kind(**head, lines=list(job.lines), **more)
