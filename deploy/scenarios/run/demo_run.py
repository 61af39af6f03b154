"""One demo from start to result: stack, day, figures, audit, stop."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from confluent_kafka import KafkaException
from rich.console import Console

from deploy import audit
from deploy.local.kafka.jars import Progress
from deploy.scenarios.actors.client import BrokenPromise, HttpClient, Refused, Role
from deploy.scenarios.drivers import catalogue, devices
from deploy.scenarios.drivers.api import AT_ONCE, TIMEOUT_S, Api, Busy
from deploy.scenarios.drivers.pace import Pace
from deploy.scenarios.drivers.world import World
from deploy.scenarios.generator import make_day
from deploy.scenarios.model import Scenario
from deploy.scenarios.outcome.expected_outcome import expected_outcome
from deploy.scenarios.outcome.figures import Figures, differences, figures
from deploy.scenarios.run import demo_stack
from deploy.scenarios.run.actors import order_states, run_actors, wait_until_idle
from deploy.scenarios.run.backlog import Backlog, Consumers
from deploy.scenarios.run.day_clock import DayClock, DayStuck
from deploy.scenarios.run.observer import Observer
from deploy.scenarios.run.view import View
from deploy.scenarios.schedule import Day, ExpectedOutcome


class DayFailed(Exception):
    """An actor could not do its work; the text says what and why."""


@dataclass(frozen=True, slots=True)
class DemoResult:
    """Result of a demo. `open_points`: differences from the expected outcome; `audit`: the audit's lines."""

    figures: Figures
    plan: ExpectedOutcome
    open_points: list[str]
    audit: list[str]
    audit_ok: bool

    @property
    def ok(self) -> bool:
        """True if every order ended as planned, there are no dead letters or unread records, and the audit passed."""
        return self.audit_ok and not self.open_points

    def as_json(self) -> dict[str, Any]:
        """Return plain data for `--json`."""
        return {"figures": self.figures.as_json(), "open_points": self.open_points, "audit": self.audit}


def run_demo(
    console: Console, data: Path, scenario: Scenario, seed: int, most: float | None = None, keep: bool = False
) -> DemoResult:
    """Run a day in a folder, at most that many times as fast as real time, and check it. Raises StackError or
    DayFailed.
    """
    on = demo_stack.next_date(data, scenario)
    day = make_day(scenario, seed, on)
    plan = expected_outcome(day)
    with demo_stack.running(data, scenario, on, keep=keep, progress=_fetching(console)) as stack:
        sales = sum(len(stall.sales) for stall in day.stalls)
        pledges = sum(len(buy.pledges) for buy in day.group_buys)
        console.print(
            f"Ready. Running {on}: {len(day.orders)} orders, {pledges} pledges in {len(day.group_buys)} group-buys, "
            f"{sales} customers at {len(day.stalls)} stalls."
        )
        with Observer(stack.endpoints["kafka"]) as observer:
            world, still, by_service = asyncio.run(_play(console, stack, day, plan, observer, most))
        found = figures(day, observer.observed, world.tally)
        console.print("The day is over. Running the audit ...")
        verdict = audit.run(stack.endpoints, require_terminal=True)
    points = still + differences(found, plan, by_service)
    if found.parked:
        points.append(f"{found.parked} dead letters")
    return DemoResult(found, plan, points, list(verdict.lines), verdict.ok)


async def _play(
    console: Console,
    stack: demo_stack.DemoStack,
    day: Day,
    plan: ExpectedOutcome,
    observer: Observer,
    most: float | None,
) -> tuple[World, list[str], Counter[str]]:
    """Run the day to its end. Return its world, the open points, and the orders by state from the operator's list."""
    consumers = await asyncio.to_thread(Consumers, stack.endpoints["kafka"], stack.admin_password)
    pace = Pace(stack.clock, day)
    backlog = Backlog(consumers, stack.endpoints["postgres"], pace)
    clock = DayClock(stack.clock, stack.feed, day, pace, backlog, most)
    roles = get_args(Role)
    # Terminals and couriers have no local token: each has the key of its own device.
    tokens = {role: token for role, token in stack.endpoints["tokens"].items() if role not in {"terminal", "courier"}}
    connections = AT_ONCE * len(roles)
    async with HttpClient(stack.endpoints["http"], tokens, connections=connections, timeout_s=TIMEOUT_S) as http:
        api = Api(http, roles, pace.holding)
        world = World(day, api, pace)
        try:
            async with View(console, world, observer.observed):
                # before the clock runs: the day begins when its market can
                await catalogue.write(world)
                await devices.enrol(world)
                async with clock.driving():
                    await run_actors(world)
                    still = await wait_until_idle(world, observer.observed, sum(plan.ends.values()), backlog)
                    by_service = await order_states(world)
        except* (Refused, BrokenPromise, Busy, DayStuck, KafkaException) as group:
            raise DayFailed(_first(group)) from group
        observer.check()
        world.tally.absorbed["requests repeated after no answer"] += api.counts["repeats"]
        world.tally.played_s, world.tally.waited_s = clock.played_s, clock.waited_s
    return world, still, by_service


def _first(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__


def _fetching(console: Console) -> Progress:
    shown = -1

    def progress(done: int, total: int) -> None:
        nonlocal shown
        if total and (tenth := 10 * done // total) != shown:
            shown = tenth
            console.print(f"Fetching Kafka, once: {done} of {total}")

    return progress
