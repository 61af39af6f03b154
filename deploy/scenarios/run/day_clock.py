"""Drives the business clock of a day by the day's progress: as fast as allowed, and waiting for late actors.

The clock stays within some minutes of the oldest unfinished work: a request without a response, an actor with a minute
that has come, a record that no consumer has processed. It does not pass one of the day's hard times (a group-buy
closes, a wave is cut) before everything due earlier is done and the services are idle. So a slow machine makes the day
longer and never makes an actor late.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from deploy.scenarios.drivers.pace import Pace
from deploy.scenarios.run.backlog import Backlog
from deploy.scenarios.schedule import Day
from services.kit.clock import Clock, Segment
from services.kit.clock_feed import ClockFeed

PEOPLE_MIN, SERVICES_MIN = 10.0, 30.0
"""Business minutes that the clock may be ahead of unfinished work of actors and of services."""
EDGE_MIN = 0.05
"""Business minutes before a hard time at which the clock waits."""
ROUNDING_MIN = 1e-4
AFTER_MIN = 90.0
"""Business minutes after the last hard time in which the clock runs by itself."""
TICK_S, AHEAD_S = 0.02, 0.2
"""Seconds between two updates of the clock, and the length of a segment, at the end of which the clock stops without
its writer.
"""
NEXT, STEPS_A_S = 20, 80.0
"""Between due minutes the clock runs so fast that the next 20 actors act at 80 a second ..."""
SKIP = 6.0
"""... and at most 6 times the day's usual speed."""
STUCK_S = 60.0


class DayStuck(Exception):
    """A minute passed without progress; the text names the unfinished work."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The minute up to which the clock may run, and what it waits for there."""

    minute: float
    what: str


def hard_times(day: Day) -> list[float]:
    """Return, ascending, the minutes of a day after which earlier work is refused or ends otherwise."""
    scenario = day.scenario
    times = {scenario.closes, scenario.points_close}
    times |= {buy.terms.closes for buy in day.group_buys} | {wave.cutoff for wave in scenario.waves}
    return sorted(times)


class DayClock:
    """The writer of a day's clock.

    `played_s`: real seconds of driving; `waited_s`: those during which the clock waited, by reason.
    """

    def __init__(
        self, clock: Clock, feed: ClockFeed, day: Day, pace: Pace, backlog: Backlog, most: float | None = None
    ) -> None:
        self._clock, self._feed, self._pace, self._backlog = clock, feed, pace, backlog
        self._usual = min(day.scenario.speed, most or day.scenario.speed)
        self._most = most or day.scenario.speed * SKIP
        self._hard = hard_times(day)
        self.waited_s: defaultdict[str, float] = defaultdict(float)
        self.played_s = 0.0

    @asynccontextmanager
    async def driving(self) -> AsyncIterator[None]:
        """Drive the clock during the block; then it runs by itself, at normal speed.

        `DayStuck` ends the block and is raised in a group.
        """
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._backlog.watch()), group.create_task(self.drive())]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await self._feed.write(Segment(self._clock.real(), self._clock.now()))

    async def drive(self) -> None:
        """Drive the clock until cancelled. Raises `DayStuck` after 60 s without any progress."""
        previous, still_s, last = object(), 0.0, time.monotonic()
        while True:
            limit = self.limit()
            await self._publish(limit)
            self._pace.wake()
            await asyncio.sleep(TICK_S)
            now = time.monotonic()
            passed, last = min(now - last, 1.0), now  # a machine that slept has made no progress either
            self.played_s += passed
            if self._pace.minute > limit.minute - ROUNDING_MIN:
                self.waited_s[limit.what] += passed
            progress = (self._pace.steps, self._backlog.moved, self._pace.minute)
            still_s, previous = (still_s + passed if progress == previous else 0.0), progress
            if still_s > STUCK_S:
                raise DayStuck(f"no progress for {STUCK_S:.0f} s; unfinished: {'; '.join(self.behind())}")

    def limit(self) -> Limit:
        """Return the limit of the clock now."""
        return min(self._limits(), key=lambda limit: limit.minute)

    def _limits(self) -> Iterator[Limit]:
        pace, backlog = self._pace, self._backlog
        yield Limit(self._hard[-1] + AFTER_MIN, "the end of the day")
        yield Limit(backlog.since + SERVICES_MIN, "services")
        if held := min((hold.due for hold in pace.holds), default=None):
            yield Limit(held + PEOPLE_MIN, "answers")
        if (due := pace.next()) is not None:
            yield Limit(due + PEOPLE_MIN, "people")
        if (hard := self._next_hard()) and self._under_way(hard):
            yield Limit(hard - EDGE_MIN, "work due before a deadline")

    def _next_hard(self) -> float | None:
        now = self._pace.minute
        return next((hard for hard in self._hard if hard > now), None)

    def _under_way(self, hard: float) -> bool:
        """Return True if work that is due before a hard time is unfinished, by actors or services."""
        due = self._pace.next()
        return (
            any(hold.due < hard for hold in self._pace.holds)
            or (due is not None and due <= hard - EDGE_MIN)
            or self._backlog.quiet_at != self._pace.steps
        )

    def behind(self) -> list[str]:
        """Return the unfinished work as text."""
        held = sorted(self._pace.holds, key=lambda hold: hold.due)
        people = [f"{hold.what}, due {self._pace.at(hold.due):%H:%M}" for hold in held[:3]]
        return people + list(self._backlog.behind) or ["no work is due"]

    def _speed(self) -> float:
        due = self._pace.next(NEXT)
        if due is None:
            return self._most
        fitting = (due - self._pace.minute) * 60 * STEPS_A_S / NEXT
        return min(self._most, max(self._usual, fitting))

    async def _publish(self, limit: Limit) -> None:
        minute, speed = self._pace.minute, self._speed()
        latest = max(minute, min(limit.minute, minute + speed * AHEAD_S / 60))
        start = self._clock.now()
        segment = Segment(self._clock.real(), start, speed, start + timedelta(minutes=latest - minute))
        self._clock.follow(segment)
        await self._feed.write(segment)
