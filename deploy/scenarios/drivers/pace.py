"""Waits on the business clock, in a scenario's minutes, and the work that the clock has to wait for."""

from __future__ import annotations

import asyncio
from bisect import insort
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime

from deploy.scenarios.schedule import Day
from services.kit.clock import Clock

FRESH = 4.0
"""A request holds the clock from at most this many business minutes ago, however late its sender is: it slows the clock
before it stops it.
"""
_due: ContextVar[float] = ContextVar("due")
_waiting: ContextVar[bool] = ContextVar("waiting", default=False)


@dataclass(frozen=True, slots=True)
class Hold:
    """Unfinished work that is due at minute `due`."""

    due: float
    what: str


class Pace:
    """Lets the actors of a day wait for its minutes, which count from local midnight.

    A minute that has passed is not waited for: a late actor hurries. `steps` counts actions that actors began and
    finished; while it stays the same, no actor has acted.
    """

    def __init__(self, clock: Clock, day: Day) -> None:
        self._clock = clock
        self._day = day
        self._midnight = day.at(0)
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []  # the next actor last
        self._holds: dict[int, Hold] = {}
        self._made = 0
        self.steps = 0

    @property
    def minute(self) -> float:
        """The current minute of the day."""
        return self.minute_of(self._clock.now())

    def minute_of(self, instant: datetime) -> float:
        """Return the minute of an instant."""
        return (instant - self._midnight).total_seconds() / 60

    def at(self, minute: float) -> datetime:
        """Return the instant of a minute, in the day's own offset."""
        return self._day.at(minute)

    async def until(self, minute: float) -> None:
        """Return when that minute has come. The task's next request is due since then."""
        if minute > self.minute:
            woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._made += 1
            insort(self._sleepers, (-minute, self._made, woken))
            await woken
        _due.set(minute)

    async def pause(self, minutes: float) -> None:
        """Return that many business minutes later."""
        await self.until(self.minute + minutes)

    @contextmanager
    def holding(self, what: str, due: float | None = None) -> Iterator[None]:
        """Keep the clock near a minute until the block ends: by default the minute at which the task's work was due.

        If it is given, the block waits for a service; repeated requests in it are no step.
        """
        now, counts = self.minute, not _waiting.get()
        waiting = _waiting.set(_waiting.get() or due is not None)
        self._made += 1
        made = self._made
        self._holds[made] = Hold(max(min(_due.get(now), now), now - FRESH) if due is None else due, what)
        self.steps += counts
        try:
            yield
        finally:
            _waiting.reset(waiting)
            del self._holds[made]
            self.steps += counts

    def wake(self) -> None:
        """Wake every actor with a minute that has come."""
        now = self.minute
        while self._sleepers and -self._sleepers[-1][0] <= now:
            *_, woken = self._sleepers.pop()
            if not woken.done():  # a cancelled one is
                woken.set_result(None)
                self.steps += 1

    def next(self, count: int = 1) -> float | None:
        """Return the minute of the `count`-th waiting actor, or of the last one; None if no actor waits."""
        if not self._sleepers:
            return None
        return -self._sleepers[max(-count, -len(self._sleepers))][0]

    @property
    def holds(self) -> Iterable[Hold]:
        """Unfinished work in the order in which it was begun."""
        return self._holds.values()
