"""What each message does to a job: pure, and total over state x message."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
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
from contracts.values import UndeliveredReason
from services.dispatch.domain.job import ENDED, HANDED_OUT, Job, JobState, Slot

E = TypeVar("E", bound=Event)

WRONG_CODES = 5
"""How many wrong codes an epoch of a job takes; after them none counts, not even the right one."""
NEEDS_DESK = (
    f"needs-desk: {WRONG_CODES} wrong codes were given; the desk must reassign the job, to this courier or another, "
    "before a code counts again"
)


class Kind(StrEnum):
    """What a courier reports about a job."""

    ACCEPT = "accept"
    LOAD = "load"
    ARRIVE = "arrive"
    DELIVER = "deliver"
    FAIL = "fail"
    RETURN = "return"


class Verdict(StrEnum):
    """What became of a report. Whatever it is, the report is kept as evidence."""

    APPLIED = "applied"
    STALE = "stale"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Placed:
    """The job gets a place in a wave, or a later one."""

    slot: Slot


@dataclass(frozen=True, slots=True)
class Unplaced:
    """No wave can take the job."""

    reason: str


@dataclass(frozen=True, slots=True)
class Assigned:
    """The job is handed to a courier: by the release of its wave, or by a reassignment."""

    courier: str
    trip: int
    stop: int
    eta: datetime


@dataclass(frozen=True, slots=True)
class Report:
    """What a courier says happened, on which epoch; `code_right` tells whether the receiver's code was given."""

    kind: Kind
    courier: str
    epoch: int
    recorded_at: datetime
    code_right: bool = False
    reason: UndeliveredReason = UndeliveredReason.OTHER
    clock_invalid: bool = False


Message = ScheduleDelivery | CancelDelivery | Placed | Unplaced | Assigned | Report


@dataclass(frozen=True, slots=True)
class JobDecision:
    """The job afterwards and the facts to publish, in order; for a report also the answer and why."""

    job: Job
    events: tuple[Event, ...] = ()
    verdict: Verdict = Verdict.APPLIED
    why: str = ""


def decide(job: Job, message: Message) -> JobDecision:
    """What the message does to the job. Total: a message that comes too late or again changes nothing.

    Every command is answered, in the end: schedule by planned, refused or cancelled; cancel by cancelled or
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
            return JobDecision(refused, (_fact(JobRefused, refused, reason=reason),))
        case Assigned():
            return _assign(job, message)
        case Report():
            return _report(job, message)


def _schedule(job: Job, ask: ScheduleDelivery) -> JobDecision:
    if job.state is JobState.NEW:
        state = JobState.INCOMPLETE
        known = replace(job, state=state, market_day=ask.market_day, community=ask.community, lines=tuple(ask.lines))
        return JobDecision(replace(known, quote=ask.quote))
    if job.state is JobState.CANCELLED:
        return JobDecision(job, (_fact(JobCancelled, job),))
    if job.state is JobState.REFUSED:
        return JobDecision(job, (_fact(JobRefused, job, reason=job.reason),))
    # incomplete: the answer comes with its place
    return JobDecision(job, (_planned(job, job.slot),) if job.slot else ())


def _cancel(job: Job) -> JobDecision:
    if job.state in HANDED_OUT | {JobState.DELIVERED, JobState.RETURNED}:
        why = "the routes are handed out" if job.state in HANDED_OUT else f"already {job.state}"
        return JobDecision(job, (_fact(CancelRefused, job, reason=why),))
    state = JobState.REFUSED if job.state is JobState.REFUSED else JobState.CANCELLED
    ended = replace(job, state=state, waits=(), slot=None)
    return JobDecision(ended, (_fact(JobCancelled, ended),))


def _assign(job: Job, to: Assigned) -> JobDecision:
    if job.slot is None or job.state not in HANDED_OUT | {JobState.PLANNED}:
        return JobDecision(job)
    state = JobState.ASSIGNED if job.state is JobState.PLANNED else job.state
    place: dict[str, Any] = {"courier": to.courier, "trip": to.trip, "stop": to.stop, "eta": to.eta}
    taken = replace(job, state=state, epoch=job.epoch + 1, wrong_codes=0, **place)
    event = _fact(
        JobAssigned, taken, wave=job.slot.wave, courier=to.courier, epoch=taken.epoch, trip=to.trip, eta=to.eta
    )
    return JobDecision(taken, (event,))


def _report(job: Job, report: Report) -> JobDecision:
    if job.courier is None:
        return JobDecision(job, verdict=Verdict.REFUSED, why=f"the job is {job.state}, with no courier")
    if (job.courier, job.epoch) != (report.courier, report.epoch):
        return JobDecision(job, verdict=Verdict.STALE, why=f"the job is with {job.courier} in epoch {job.epoch}")
    if report.kind in {Kind.ACCEPT, Kind.ARRIVE} or (report.kind is Kind.LOAD and job.state is not JobState.ASSIGNED):
        return JobDecision(job)  # nothing left to do, perhaps because a later report came first and implied it
    if job.state in ENDED:
        return JobDecision(job, verdict=Verdict.STALE, why=f"the job is already {job.state}")
    if report.kind is Kind.DELIVER and job.wrong_codes >= WRONG_CODES:
        return JobDecision(job, verdict=Verdict.REFUSED, why=NEEDS_DESK)
    if report.kind is Kind.DELIVER and not report.code_right:
        tried = replace(job, wrong_codes=job.wrong_codes + 1)
        return JobDecision(tried, verdict=Verdict.REFUSED, why="the code is not the receiver's")
    return _carry(job, report)


def _carry(job: Job, report: Report) -> JobDecision:
    # Whatever happens to the goods on the way implies that they were loaded, also when that tap was lost.
    who: dict[str, Any] = {"courier": report.courier, "epoch": report.epoch}
    events: list[Event] = [] if job.state is JobState.LOADED else [_fact(JobLoaded, job, **who)]
    after = replace(job, state=JobState.LOADED)
    if report.kind is Kind.DELIVER:
        after = replace(after, state=JobState.DELIVERED, attempts=job.attempts + 1)
        at: dict[str, Any] = {"delivered_at": report.recorded_at, "clock_invalid": report.clock_invalid}
        events.append(_fact(JobDelivered, job, **at, **who))
    elif report.kind is Kind.FAIL:
        after = replace(after, attempts=job.attempts + 1, reason=report.reason)
        events.append(_fact(AttemptFailed, job, attempt=after.attempts, reason=report.reason, **who))
    elif report.kind is Kind.RETURN:
        after = replace(after, state=JobState.RETURNED, reason=report.reason)
        events.append(_fact(JobReturned, job, reason=report.reason, **who))
    return JobDecision(after, tuple(events))


def _planned(job: Job, slot: Slot) -> JobPlanned:
    return _fact(
        JobPlanned,
        job,
        wave=slot.wave,
        slot_from=slot.slot_from,
        slot_until=slot.slot_until,
        as_promised=slot.as_promised,
    )


def _fact(kind: type[E], job: Job, **more: Any) -> E:
    head: dict[str, Any] = {"job": job.id, "order": job.order, "pool": job.pool, "reservation": job.reservation}
    return kind(**head, lines=list(job.lines), **more)
