"""When things happen: the business clock of the stack, in the minutes that a scenario speaks of."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from deploy.scenarios.day import Day
from services.kit.clock import Clock


class Pace:
    """Waits on the business clock. A minute that has passed is not waited for: who is late hurries.

    Scenario minutes count from local midnight until `dawn` moves the whole day: machines take longer or shorter to
    start a stack, and a day that began late would run into its own deadlines.
    """

    def __init__(self, clock: Clock, day: Day) -> None:
        self._clock = clock
        self.midnight = day.at(0)
        self._zero = self.midnight

    def dawn(self, minute: float) -> None:
        """Now is that minute of the day, to the next five minutes; all later minutes move with it."""
        moved = self.minute - minute
        self._zero += timedelta(minutes=-(-moved // 5) * 5)

    @property
    def minute(self) -> float:
        """The scenario's minute now."""
        return self.minute_of(self._clock.now())

    def minute_of(self, instant: datetime) -> float:
        """The scenario's minute of an instant."""
        return (instant - self._zero).total_seconds() / 60

    def at(self, minute: float) -> datetime:
        """The instant of a scenario's minute, in the day's own offset."""
        return self._zero + timedelta(minutes=minute)

    def seconds_until(self, minute: float) -> float:
        """Real seconds until that minute; negative when it has passed."""
        return (minute - self.minute) * 60 / self._clock.speed

    async def until(self, minute: float) -> None:
        """Returns when that minute has come."""
        await self.pause(max(0.0, minute - self.minute))

    async def pause(self, minutes: float) -> None:
        """Returns so many business minutes later."""
        await asyncio.sleep(minutes * 60 / self._clock.speed)
