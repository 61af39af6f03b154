"""The clock port: business time that may run faster than life, and real time for waits between services."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.kit.settings import Settings


@dataclass(frozen=True, slots=True)
class Clock:
    """Business time = `start` + (real - `anchor`) x `speed`; real time when no anchor is given.

    All processes of a stack share anchor, start and speed, so they agree as far as their machines' clocks do.
    Business time never becomes a Kafka record timestamp: the broker refuses the future and drops the far past.
    """

    anchor: datetime | None = None
    start: datetime | None = None
    speed: float = 1.0

    @classmethod
    def of(cls, settings: Settings) -> Clock:
        """The clock that the settings describe."""
        return cls(settings.clock_anchor, settings.clock_start, settings.clock_speed)

    def now(self) -> datetime:
        """Business time, aware, in UTC. A decision under a lock reads it after the lock is granted."""
        if self.anchor is None or self.start is None:
            return self.real()
        return (self.start + (self.real() - self.anchor) * self.speed).astimezone(UTC)

    def real(self) -> datetime:
        """Wall-clock time, aware, in UTC: for waits on another service and for record timestamps."""
        return datetime.now(UTC)


class ManualClock(Clock):
    """A clock for tests that stands still until it is moved; `business` and `wall` may also be set apart."""

    __slots__ = ("business", "wall")

    business: datetime
    wall: datetime

    def __init__(self, at: datetime, wall: datetime | None = None) -> None:
        super().__init__()
        self.set(at, wall)

    def set(self, at: datetime, wall: datetime | None = None) -> None:
        """Business time jumps to `at`, real time to `wall` (or `at`)."""
        object.__setattr__(self, "business", at.astimezone(UTC))
        object.__setattr__(self, "wall", (wall or at).astimezone(UTC))

    def advance(self, by: timedelta) -> None:
        """Both times move on by the same amount."""
        self.set(self.business + by, self.wall + by)

    def now(self) -> datetime:
        """The business time that was set last."""
        return self.business

    def real(self) -> datetime:
        """The real time that was set last."""
        return self.wall
