"""Business time runs along segments, never passes the latest instant of one, and never backwards."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.clock import Clock, ManualClock, Segment
from services.kit.settings import Settings

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
MORNING = datetime(2026, 6, 1, 6, tzinfo=timezone(timedelta(hours=8)))
seconds = st.floats(-1e4, 1e6, allow_nan=False)


class Wall(Clock):
    """A clock with a real time set by the test."""

    wall = NOON

    def real(self) -> datetime:
        return self.wall


def test_business_time_is_scaled_from_the_anchor() -> None:
    clock = Wall(Segment(NOON, MORNING, 60.0))
    clock.wall = NOON + timedelta(seconds=10)
    assert clock.now() == MORNING + timedelta(minutes=10)
    assert clock.now().utcoffset() == timedelta(0)


def test_without_a_segment_business_time_is_real_time() -> None:
    assert Wall().now() == NOON


def test_a_segment_is_never_passed() -> None:
    clock = Wall(Segment(NOON, MORNING, 60.0, MORNING + timedelta(minutes=1)))
    clock.wall = NOON + timedelta(hours=1)
    assert clock.now() == MORNING + timedelta(minutes=1)


def test_before_its_anchor_a_segment_stands() -> None:
    assert Segment(NOON, MORNING, 60.0).at(NOON - timedelta(hours=1)) == MORNING


@given(
    st.lists(
        st.tuples(st.sampled_from(["wall", "segment"]), seconds, seconds, st.floats(0.001, 1e5), st.floats(0, 1e5)),
        max_size=30,
    )
)
def test_a_reader_never_runs_backwards_and_never_leads(
    events: list[tuple[str, float, float, float, float]],
) -> None:
    clock = Wall(Segment(NOON, MORNING, 1.0, MORNING))
    before = highest = clock.now()
    for kind, first, second, speed, reach in events:
        if kind == "wall":
            clock.wall = NOON + timedelta(seconds=first)
        else:
            start = MORNING + timedelta(seconds=first)
            clock.follow(Segment(NOON + timedelta(seconds=second), start, speed, start + timedelta(seconds=reach)))
        assert clock.segment is not None
        assert clock.segment.latest is not None
        highest = max(highest, clock.segment.latest)
        now = clock.now()
        assert before <= now <= highest
        before = now


@given(st.builds(Segment, st.just(NOON), st.just(MORNING), st.floats(0.001, 1e5), st.none() | st.just(MORNING)))
def test_a_segment_is_read_as_it_was_written(segment: Segment) -> None:
    assert Segment.from_json(segment.to_json()) == segment


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"anchor": "x", "start": "y", "speed": 1}'])
def test_what_is_no_segment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"segment|unexpected|document|isoformat"):
        Segment.from_json(text)


def test_a_clock_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="clock"):
        Settings(database_url="x", clock="redis")


def test_a_manual_clock_moves_only_by_hand() -> None:
    clock = ManualClock(NOON)
    assert clock.now() == clock.now() == clock.real() == NOON
    clock.advance(timedelta(hours=1))
    assert clock.now() == clock.real() == NOON + timedelta(hours=1)
    clock.set(NOON, wall=NOON + timedelta(days=1))
    assert (clock.now(), clock.real()) == (NOON, NOON + timedelta(days=1))
