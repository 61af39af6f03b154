"""The state machine of a delivery job, row by row."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID, uuid4

import pytest

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
from contracts.events.orders import GoodsLine
from contracts.values import job_of
from services.dispatch.domain.courier import Report, ReportKind, ReportVerdict
from services.dispatch.domain.job.job import Job, JobState, Slot, new_job
from services.dispatch.domain.job.state_machine import Assigned, Placed, Unplaced, decide

ORDER, RESERVATION = uuid4(), uuid4()
NOON = datetime(2026, 10, 24, 4, tzinfo=UTC)
SLOT = Slot("noon", NOON, NOON + timedelta(hours=2))
SCHEDULE = ScheduleDelivery(
    order=ORDER,
    pool="sat@simaochong",
    reservation=RESERVATION,
    market_day="sat",
    community="simaochong",
    lines=[GoodsLine(line=1, item="honey", quantity=2)],
)
CANCEL = CancelDelivery(order=ORDER, pool="sat@simaochong", reservation=RESERVATION)
ASSIGNED = Assigned("van-1", 1, 3, NOON)
FRESH = new_job(SCHEDULE)


def report(kind: ReportKind, epoch: int = 1, courier: str = "van-1", right: bool = True) -> Report:
    return Report(kind, courier, epoch, NOON, code_right=right, reason="nobody-home")


def after(*messages: object) -> Job:
    job = FRESH
    for message in messages:
        job = decide(job, message).job
    return job


OUT = (SCHEDULE, Placed(SLOT), ASSIGNED)
PATHS: dict[JobState, tuple[object, ...]] = {
    JobState.NEW: (),
    JobState.INCOMPLETE: (SCHEDULE,),
    JobState.PLANNED: (SCHEDULE, Placed(SLOT)),
    JobState.ASSIGNED: OUT,
    JobState.LOADED: (*OUT, report(ReportKind.LOAD)),
    JobState.DELIVERED: (*OUT, report(ReportKind.DELIVER)),
    JobState.RETURNED: (*OUT, report(ReportKind.RETURN)),
    JobState.REFUSED: (SCHEDULE, Unplaced("full")),
    JobState.CANCELLED: (SCHEDULE, CANCEL),
}
MESSAGES: tuple[object, ...] = (SCHEDULE, CANCEL, Placed(SLOT), Unplaced("full"), ASSIGNED, *map(report, ReportKind))


def told(state: JobState, message: object) -> list[type]:
    return [type(event) for event in decide(after(*PATHS[state]), message).events]


def test_every_state_is_reached_by_its_path():
    assert {state: after(*path).state for state, path in PATHS.items()} == {state: state for state in JobState}


@pytest.mark.parametrize(("state", "message"), list(product(JobState, MESSAGES)))
def test_every_pair_of_state_and_message_has_an_answer(state: JobState, message: object):
    before = after(*PATHS[state])
    decision = decide(before, message)
    assert decision.job.id == job_of(ORDER, RESERVATION)
    assert decision.job.epoch >= before.epoch
    if decision.job != before and not isinstance(message, ScheduleDelivery):
        assert decision.events


@pytest.mark.parametrize(
    ("state", "answer"),
    [
        (JobState.INCOMPLETE, []),
        (JobState.PLANNED, [JobPlanned]),
        (JobState.LOADED, [JobPlanned]),
        (JobState.REFUSED, [JobRefused]),
        (JobState.CANCELLED, [JobCancelled]),
    ],
)
def test_a_repeated_schedule_is_answered_by_what_the_job_is(state: JobState, answer: list[type]):
    assert told(state, SCHEDULE) == answer
    assert decide(after(*PATHS[state]), SCHEDULE).job == after(*PATHS[state])


@pytest.mark.parametrize(
    ("state", "answer"),
    [
        (JobState.NEW, JobCancelled),
        (JobState.INCOMPLETE, JobCancelled),
        (JobState.PLANNED, JobCancelled),
        (JobState.REFUSED, JobCancelled),
        (JobState.CANCELLED, JobCancelled),
        (JobState.ASSIGNED, CancelRefused),
        (JobState.LOADED, CancelRefused),
        (JobState.DELIVERED, CancelRefused),
        (JobState.RETURNED, CancelRefused),
    ],
)
def test_a_cancel_is_granted_until_the_routes_are_handed_out(state: JobState, answer: type):
    assert told(state, CANCEL) == [answer]


def test_a_cancel_before_its_schedule_leaves_a_tombstone():
    tombstone = decide(FRESH, CANCEL)
    assert tombstone.job.state is JobState.CANCELLED
    assert tombstone.events[0].job == job_of(ORDER, RESERVATION)
    late = decide(tombstone.job, SCHEDULE)
    assert (late.job, [type(event) for event in late.events]) == (tombstone.job, [JobCancelled])


def test_a_job_moves_to_a_later_wave_and_says_so():
    later = Slot("afternoon", NOON + timedelta(hours=3), NOON + timedelta(hours=6), as_promised=False)
    decision = decide(after(*PATHS[JobState.PLANNED]), Placed(later))
    assert (decision.job.slot, decision.events[0].as_promised) == (later, False)
    assert decide(after(*OUT), Placed(later)).job.slot == SLOT


def test_each_assignment_has_the_next_epoch():
    first = decide(after(*PATHS[JobState.PLANNED]), ASSIGNED)
    second = decide(first.job, Assigned("van-2", 1, 1, NOON))
    assert [first.job.epoch, second.job.epoch, second.events[0].epoch] == [1, 2, 2]
    assert isinstance(second.events[0], JobAssigned)


def test_goods_on_the_way_were_loaded_also_when_that_report_is_missing():
    assert told(JobState.ASSIGNED, report(ReportKind.DELIVER)) == [JobLoaded, JobDelivered]
    assert told(JobState.ASSIGNED, report(ReportKind.FAIL)) == [JobLoaded, AttemptFailed]
    assert told(JobState.ASSIGNED, report(ReportKind.RETURN)) == [JobLoaded, JobReturned]
    assert told(JobState.LOADED, report(ReportKind.DELIVER)) == [JobDelivered]
    assert told(JobState.LOADED, report(ReportKind.LOAD)) == []


@pytest.mark.parametrize("state", [JobState.LOADED, JobState.DELIVERED, JobState.RETURNED])
@pytest.mark.parametrize("kind", [ReportKind.ACCEPT, ReportKind.LOAD, ReportKind.ARRIVE])
def test_a_report_that_a_later_one_implied_is_taken_and_does_nothing(state: JobState, kind: ReportKind):
    before = after(*PATHS[state])
    decision = decide(before, report(kind))
    assert (decision.job, decision.events, decision.verdict) == (before, (), ReportVerdict.APPLIED)


def test_attempts_count_up_and_the_job_stays_with_the_courier():
    job = after(*OUT, report(ReportKind.FAIL), report(ReportKind.FAIL))
    assert (job.state, job.attempts, job.courier) == (JobState.LOADED, 2, "van-1")
    assert decide(job, report(ReportKind.DELIVER)).job.attempts == 3


@pytest.mark.parametrize(
    ("state", "message", "verdict"),
    [
        (JobState.ASSIGNED, report(ReportKind.DELIVER, epoch=0), ReportVerdict.STALE),
        (JobState.ASSIGNED, report(ReportKind.LOAD, courier="van-2"), ReportVerdict.STALE),
        (JobState.DELIVERED, report(ReportKind.DELIVER), ReportVerdict.STALE),
        (JobState.RETURNED, report(ReportKind.DELIVER), ReportVerdict.STALE),
        (JobState.PLANNED, report(ReportKind.LOAD), ReportVerdict.REFUSED),
        (JobState.CANCELLED, report(ReportKind.LOAD), ReportVerdict.REFUSED),
    ],
)
def test_what_a_report_cannot_do_changes_nothing_and_says_why(state: JobState, message: Report, verdict: ReportVerdict):
    before = after(*PATHS[state])
    decision = decide(before, message)
    assert (decision.job, decision.events, decision.verdict) == (before, (), verdict)
    assert decision.why


def test_five_wrong_codes_close_an_epoch_and_a_new_one_begins_at_none():
    job = after(*OUT)
    for n in range(1, 6):
        decision = decide(job, report(ReportKind.DELIVER, right=False))
        assert (decision.events, decision.verdict, decision.job.wrong_codes) == ((), ReportVerdict.REFUSED, n)
        assert decision.job == replace(job, wrong_codes=n)
        job = decision.job
    locked = decide(job, report(ReportKind.DELIVER))
    assert (locked.job, locked.verdict, locked.why.split(":")[0]) == (job, ReportVerdict.REFUSED, "needs-desk")
    assert decide(job, report(ReportKind.FAIL)).verdict is ReportVerdict.APPLIED, "it can still be brought back"
    again = decide(job, Assigned("van-1", 1, 1, NOON)).job
    assert (again.wrong_codes, decide(again, report(ReportKind.DELIVER, epoch=2)).job.state) == (0, JobState.DELIVERED)


def test_ids_need_nobody_to_make_them():
    assert isinstance(FRESH.id, UUID)
    assert new_job(CANCEL).id == FRESH.id
