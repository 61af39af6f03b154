"""The clock port: business time, which a demo day may drive, and real time for waits between services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import orjson


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of business time: `start` at the real instant `anchor`, from there `speed` times as fast as real time.

    It never passes `latest`, where one is given: a reader that misses the next segment lags behind its writer and
    never leads.
    """

    anchor: datetime
    start: datetime
    speed: float = 1.0
    latest: datetime | None = None

    def at(self, real: datetime) -> datetime:
        """Return business time at a real instant; `start` before the anchor."""
        moved = self.start + max(real - self.anchor, timedelta()) * self.speed
        return moved if self.latest is None else min(moved, self.latest)

    def to_json(self) -> bytes:
        """Return the segment as a JSON object, times in RFC 3339."""
        return orjson.dumps(self)

    @classmethod
    def from_json(cls, text: bytes | str) -> Self:
        """Read the output of `to_json`. Raises ValueError on anything else."""
        try:
            return cls._from_fields(orjson.loads(text))
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a segment of business time: {error!r}") from None

    @classmethod
    def _from_fields(cls, kept: Mapping[str, Any]) -> Self:
        latest = datetime.fromisoformat(kept["latest"]) if kept["latest"] is not None else None
        anchor, start = (datetime.fromisoformat(kept[name]) for name in ("anchor", "start"))
        return cls(anchor, start, float(kept["speed"]), latest)


class Clock:
    """Business time along the latest known segment; real time while none is known.

    `now` never runs backwards within a process, for any sequence of segments and any setting of the machine's clock.
    Business time never becomes a Kafka record timestamp: the broker refuses the future and deletes the far past.
    """

    def __init__(self, segment: Segment | None = None) -> None:
        self.segment = segment
        self._shown: datetime | None = None

    def follow(self, segment: Segment) -> None:
        """Run along this segment from now on."""
        self.segment = segment

    def now(self) -> datetime:
        """Return business time, aware, in UTC. A decision under a lock reads it after the lock is granted."""
        real = self.real()
        found = real if self.segment is None else self.segment.at(real).astimezone(UTC)
        if self._shown is None or found > self._shown:
            self._shown = found
        return self._shown

    def real(self) -> datetime:
        """Return wall-clock time, aware, in UTC: for waits on another service and for record timestamps."""
        return datetime.now(UTC)


class ManualClock(Clock):
    """A clock for tests that only moves when it is set; `business` and `wall` may also be set apart."""

    def __init__(self, at: datetime, wall: datetime | None = None) -> None:
        super().__init__()
        self.set(at, wall)

    def set(self, at: datetime, wall: datetime | None = None) -> None:
        """Set business time to `at` and real time to `wall` (or `at`)."""
        self.business = at.astimezone(UTC)
        self.wall = (wall or at).astimezone(UTC)

    def advance(self, by: timedelta) -> None:
        """Advance both times by the same amount."""
        self.set(self.business + by, self.wall + by)

    def now(self) -> datetime:
        """Return the business time that was set last."""
        return self.business

    def real(self) -> datetime:
        """Return the real time that was set last."""
        return self.wall
