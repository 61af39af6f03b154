"""The clock of a played day: as fast as allowed, never past what is due, never a deadline before its people."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from deploy.scenarios.drivers.pace import Pace
from deploy.scenarios.generator import make_day
from deploy.scenarios.load import load
from deploy.scenarios.run import day_clock
from deploy.scenarios.run.day_clock import EDGE_MIN, PEOPLE_MIN, SERVICES_MIN, DayClock, DayStuck, hard_times
from services.kit.clock import Clock, ManualClock, Segment

DAY = make_day(load("market-day"), 1)
CLOSES = 8 * 60 + 40.0  # of the group-buys, the first hard time


@dataclass
class Services:
    """Services that have processed as much as the test says, by default everything."""

    pace: Pace
    since: float | None = None
    behind: tuple[str, ...] = ()
    moved: object = None

    async def watch(self) -> None:
        await asyncio.Event().wait()

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        return self.pace.minute if name == "since" and found is None else found

    @property
    def quiet_at(self) -> int:
        return -1 if self.behind else self.pace.steps


@dataclass
class Feed:
    """Keeps what was written."""

    written: list[Segment] = field(default_factory=list)

    async def read(self) -> Segment | None:
        return self.written[-1]

    async def follow(self, clock: Clock) -> None:
        raise AssertionError

    async def write(self, segment: Segment) -> None:
        self.written.append(segment)


def _at(minute: float) -> tuple[ManualClock, Pace, Services, DayClock]:
    clock = ManualClock(DAY.at(minute))
    pace = Pace(clock, DAY)
    services = Services(pace)
    return clock, pace, services, DayClock(clock, Feed(), DAY, pace, services)  # type: ignore[arg-type]


def test_the_hard_times_of_a_day_are_those_that_refuse_who_is_late():
    assert hard_times(DAY) == [CLOSES, 10 * 60, 13.5 * 60, 18 * 60]


def test_the_clock_stays_near_what_is_not_answered_yet():
    _, pace, _, clock = _at(430)
    with pace.holding("POST orders /v1/orders"):
        assert clock.limit().minute == 430 + PEOPLE_MIN
        assert clock.limit().what == "answers"
        assert clock.behind()[0] == "POST orders /v1/orders, due 07:10"
    assert clock.limit().what == "services"


async def test_the_clock_stays_near_who_is_next():
    _, pace, _, clock = _at(430)
    someone = asyncio.create_task(pace.until(440))
    await asyncio.sleep(0)  # pause: one turn of the loop, in which the task begins to wait
    assert clock.limit().minute == 440 + PEOPLE_MIN
    someone.cancel()


def test_the_clock_stays_near_what_services_have_not_handled():
    _, _, services, clock = _at(430)
    services.since, services.behind = 425, ("orders.inventory.stock.v1 is 12 records behind",)
    assert clock.limit().minute == 425 + SERVICES_MIN
    assert clock.behind() == ["orders.inventory.stock.v1 is 12 records behind"]


def test_a_deadline_waits_until_everything_due_before_it_is_done():
    _, pace, services, clock = _at(CLOSES - 1)
    with pace.holding("a join"):
        assert clock.limit().minute == CLOSES - EDGE_MIN
    services.behind = ("the outbox of orders holds 3 events",)
    assert clock.limit().minute == CLOSES - EDGE_MIN
    services.behind = ()
    assert clock.limit().minute > CLOSES


async def test_nobody_is_late_however_slow_the_answers_are():
    """Forty people join until just before the group-buy closes; the answers take their time."""
    real = Clock(Segment(Clock().real(), DAY.at(CLOSES - 30), 1.0, DAY.at(CLOSES - 30)))
    pace, rng = Pace(real, DAY), Random(1)
    late: list[float] = []

    async def join(minute: float) -> None:
        await pace.until(minute)
        with pace.holding("a join"):
            await asyncio.sleep(rng.uniform(0.01, 0.2))  # pause: a slow answer
            late.append(max(0.0, pace.minute - CLOSES))

    clock = DayClock(real, Feed(), DAY, pace, Services(pace))  # type: ignore[arg-type]
    async with clock.driving():
        await asyncio.gather(*(join(CLOSES - rng.uniform(0.1, 29)) for _ in range(40)))
        assert late == [0.0] * 40
        await pace.until(CLOSES + 5)
    assert clock.waited_s["work due before a deadline"] > 0


async def test_idle_stretches_are_skipped_but_never_faster_than_asked():
    start = 15 * 60.0

    async def speeds(most: float | None) -> list[float]:
        clock = Clock(Segment(Clock().real(), DAY.at(start), 1.0, DAY.at(start)))
        pace, feed = Pace(clock, DAY), Feed()
        async with DayClock(clock, feed, DAY, pace, Services(pace), most).driving():  # type: ignore[arg-type]
            await pace.until(start + 60)
        assert feed.written[-1].latest is None  # afterwards it goes on by itself
        assert feed.written[-1].speed == 1.0
        return [segment.speed for segment in feed.written[:-1]]

    assert max(await speeds(None)) > DAY.scenario.speed
    assert max(await speeds(7_000)) == 7_000
    assert max(await speeds(20_000)) <= 20_000


async def test_a_day_in_which_nothing_gets_on_ends_with_the_name_of_what_is_behind(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(day_clock, "STUCK_S", 0.3)
    real = Clock(Segment(Clock().real(), DAY.at(430), 1.0, DAY.at(430)))
    pace = Pace(real, DAY)
    clock = DayClock(real, Feed(), DAY, pace, Services(pace))  # type: ignore[arg-type]

    async def ask_for_ever() -> None:  # whether the plan is there yet: asking is no progress
        with pace.holding("the plan of wave noon", 430):
            async with clock.driving():
                while True:
                    with pace.holding("GET dispatch /v1/waves/noon"):
                        await asyncio.sleep(0.01)

    with pytest.raises(ExceptionGroup) as ended:
        await ask_for_ever()
    stuck = ended.value.exceptions[0]
    assert isinstance(stuck, DayStuck)
    assert "the plan of wave noon, due 07:" in str(stuck)
