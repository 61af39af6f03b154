"""When things happen: waits on the business clock, in a scenario's minutes, and what the clock has to wait for."""

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
"""A request holds the clock from at most this many business minutes ago, however late whoever sends it is: it slows
the clock before it stops it."""
_due: ContextVar[float] = ContextVar("due")
_waiting: ContextVar[bool] = ContextVar("waiting", default=False)


@dataclass(frozen=True, slots=True)
class Hold:
    """Something that is due at minute `due` and is not done yet."""

    due: float
    what: str


class Pace:
    """Lets the people of a day wait for its minutes, which count from local midnight.

    A minute that has passed is not waited for: who is late hurries. `steps` counts what people have begun and
    finished; while it stays the same, nobody has acted.
    """

    def __init__(self, clock: Clock, day: Day) -> None:
        self._clock = clock
        self._day = day
        self._midnight = day.at(0)
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []  # the next one last
        self._holds: dict[int, Hold] = {}
        self._made = 0
        self.steps = 0

    @property
    def minute(self) -> float:
        """The minute of the day now."""
        return self.minute_of(self._clock.now())

    def minute_of(self, instant: datetime) -> float:
        """The minute of an instant."""
        return (instant - self._midnight).total_seconds() / 60

    def at(self, minute: float) -> datetime:
        """The instant of a minute, in the day's own offset."""
        return self._day.at(minute)

    async def until(self, minute: float) -> None:
        """Return when that minute has come. What the task sends next is due since then."""
        if minute > self.minute:
            woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._made += 1
            insort(self._sleepers, (-minute, self._made, woken))
            await woken
        _due.set(minute)

    async def pause(self, minutes: float) -> None:
        """Return so many business minutes later."""
        await self.until(self.minute + minutes)

    @contextmanager
    def holding(self, what: str, due: float | None = None) -> Iterator[None]:
        """Keep the clock near a minute until the block ends: that at which the task's work was due, if not given.

        Where it is given, the block waits for a service; asking it again and again is no step.
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
        """Let everybody go on whose minute has come."""
        now = self.minute
        while self._sleepers and -self._sleepers[-1][0] <= now:
            *_, woken = self._sleepers.pop()
            if not woken.done():  # a cancelled one is
                woken.set_result(None)
                self.steps += 1

    def next(self, count: int = 1) -> float | None:
        """The minute that the `count`-th of those who wait, or the last one, waits for; None when nobody does."""
        if not self._sleepers:
            return None
        return -self._sleepers[max(-count, -len(self._sleepers))][0]

    @property
    def holds(self) -> Iterable[Hold]:
        """What is due and not done, in the order in which it was begun."""
        return self._holds.values()
