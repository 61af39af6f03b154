"""A job ends in one way at most, for any order and number of messages."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.events.dispatch import (
    CancelDelivery,
    CancelRefused,
    JobAssigned,
    JobCancelled,
    JobDelivered,
    JobLoaded,
    JobRefused,
    JobReturned,
    ScheduleDelivery,
)
from services.dispatch.domain.courier import Report, ReportKind
from services.dispatch.domain.job.job import Slot, new_job
from services.dispatch.domain.job.state_machine import Assigned, Placed, Unplaced, decide

NOON = datetime(2026, 10, 24, 4, tzinfo=UTC)
ABOUT = {"order": uuid4(), "pool": "sat@simaochong", "reservation": uuid4()}
SCHEDULE = ScheduleDelivery(**ABOUT, market_day="sat", community="simaochong", lines=[])
COURIERS = st.sampled_from(["van-1", "van-2"])
MESSAGES = st.one_of(
    st.just(SCHEDULE),
    st.just(CancelDelivery(**ABOUT)),
    st.builds(Placed, st.builds(Slot, st.sampled_from(["noon", "late"]), st.just(NOON), st.just(NOON))),
    st.just(Unplaced("full")),
    st.builds(Assigned, COURIERS, st.integers(1, 2), st.integers(1, 9), st.just(NOON)),
    st.builds(
        Report,
        st.sampled_from(ReportKind),
        COURIERS,
        st.integers(0, 3),
        st.just(NOON + timedelta(minutes=1)),
        code_right=st.booleans(),
    ),
)


@settings(max_examples=600, deadline=None)
@given(st.lists(MESSAGES, max_size=25))
def test_one_end_growing_epochs_and_an_answer_to_every_cancel(messages):
    job, told = new_job(SCHEDULE), []
    for message in messages:
        decision = decide(job, message)
        assert decision.job.epoch >= job.epoch
        assert decide(decision.job, message).job.state is decision.job.state
        if isinstance(message, CancelDelivery):
            assert isinstance(decision.events[0], JobCancelled | CancelRefused)
        job = decision.job
        told += decision.events
    ends = [type(event) for event in told if isinstance(event, JobDelivered | JobReturned)]
    assert len(ends) <= 1
    assert sum(isinstance(event, JobLoaded) for event in told) <= 1
    assert not ends or not any(isinstance(event, JobCancelled | JobRefused) for event in told)
    epochs = [event.epoch for event in told if isinstance(event, JobAssigned)]
    assert epochs == list(range(1, len(epochs) + 1))
