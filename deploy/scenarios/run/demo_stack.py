"""The stack of a demo: started as processes of its own on a data folder, stopped or left running."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from deploy.local import endpoints, supervisor
from deploy.local.data.clock import clock_feed, freeze_at, saved_segment
from deploy.local.data.options import Options
from deploy.local.data.secrets import Secrets
from deploy.local.kafka.jars import Progress, class_path
from deploy.scenarios.model import Scenario
from services.kit.clock import Clock
from services.kit.clock_feed import ClockFeed

STOPPED_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class DemoStack:
    """A running stack: its folder, its `endpoints.json`, the admin's Kafka password, and its business clock, which is
    stopped until `feed` moves it.
    """

    data: Path
    endpoints: dict[str, Any]
    admin_password: str
    clock: Clock
    feed: ClockFeed


def next_date(data: Path, scenario: Scenario) -> date:
    """Return the day's date: the scenario's own, or on a used folder the next one that its clock has not reached."""
    kept = saved_segment(data)
    return max(scenario.date, (Clock(kept).now() + timedelta(days=1)).date()) if kept else scenario.date


@contextmanager
def running(
    data: Path,
    scenario: Scenario,
    on: date,
    *,
    keep: bool = False,
    progress: Progress | None = None,
) -> Iterator[DemoStack]:
    """Yield a ready stack with its business clock stopped before dawn of that date; its log is
    DATA/logs/supervisor.log.

    `keep` leaves it running afterwards, also after an error; else it ends with this process in every case. Raises
    `StackError`.
    """
    class_path(progress)
    freeze_at(data, scenario.at(on, scenario.clock_starts))
    environment = {"HALFDAY_HOLD_TTL_S": str(scenario.hold_ttl_s)}
    process = supervisor.launch(data, Options(driven=True), with_parent=not keep, environment=environment)
    ready = False
    try:
        supervisor.wait_ready(process, data)
        ready = True
        kept = saved_segment(data)
        yield DemoStack(data, endpoints.read(data), Secrets.load(data).kafka["admin"], Clock(kept), clock_feed(data))
    finally:
        if not (keep and ready):
            process.terminate()
            process.wait(STOPPED_WITHIN_S)
