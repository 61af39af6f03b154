"""Business time runs at its own speed; real time does not."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from services.kit.clock import Clock, ManualClock
from services.kit.settings import Settings

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Stopped(Clock):
    """A clock whose wall stands still."""

    def real(self) -> datetime:
        return NOON + timedelta(seconds=10)


def test_business_time_is_scaled_from_the_anchor() -> None:
    start = datetime(2026, 6, 1, 6, tzinfo=timezone(timedelta(hours=8)))
    clock = Stopped(anchor=NOON, start=start, speed=60.0)
    assert clock.now() == start + timedelta(minutes=10)
    assert clock.now().utcoffset() == timedelta(0)


def test_without_an_anchor_business_time_is_real_time() -> None:
    assert Stopped().now() == NOON + timedelta(seconds=10)


def test_all_processes_with_the_same_settings_agree() -> None:
    settings = Settings(database_url="x", clock_anchor=NOON, clock_start=NOON + timedelta(days=30), clock_speed=100)
    first, second = Clock.of(settings), Clock.of(settings)
    assert first == second
    assert abs(first.now() - second.now()) < timedelta(seconds=10)


def test_half_a_clock_is_refused() -> None:
    with pytest.raises(ValueError, match="together"):
        Settings(database_url="x", clock_anchor=NOON)


def test_a_manual_clock_moves_only_by_hand() -> None:
    clock = ManualClock(NOON)
    assert clock.now() == clock.now() == clock.real() == NOON
    clock.advance(timedelta(hours=1))
    assert clock.now() == clock.real() == NOON + timedelta(hours=1)
    clock.set(NOON, wall=NOON + timedelta(days=1))
    assert (clock.now(), clock.real()) == (NOON, NOON + timedelta(days=1))
