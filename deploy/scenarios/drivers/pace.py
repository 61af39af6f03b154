"""When things happen: the business clock of the stack, in minutes since local midnight of the day played."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from deploy.scenarios.day import Day
from services.kit.clock import Clock


class Pace:
    """Waits on the business clock. A minute that has passed is not waited for: who is late hurries."""

    def __init__(self, clock: Clock, day: Day) -> None:
        self._clock = clock
        self._midnight = day.at(0)

    @property
    def minute(self) -> float:
        """Minutes since midnight now."""
        return (self._clock.now() - self._midnight).total_seconds() / 60

    def at(self, minute: float) -> datetime:
        """The instant of a minute, in the day's own offset."""
        return self._midnight + timedelta(minutes=minute)

    async def until(self, minute: float) -> None:
        """Returns when that minute has come."""
        await self.pause(max(0.0, minute - self.minute))

    async def pause(self, minutes: float) -> None:
        """Returns so many business minutes later."""
        await asyncio.sleep(minutes * 60 / self._clock.speed)
