"""The stack that a day is played on: started as processes of its own on a data folder, stopped or left running."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from deploy.local import endpoints, supervisor
from deploy.local.jars import Progress, class_path
from deploy.local.options import Options
from deploy.local.secrets import Secrets
from deploy.scenarios.model import Scenario
from services.kit.clock import Clock

STOPPED_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Stage:
    """A running stack: its folder, its `endpoints.json`, the admin's Kafka password, and its business clock."""

    data: Path
    endpoints: dict[str, Any]
    admin_password: str
    clock: Clock


def next_date(data: Path, scenario: Scenario) -> date:
    """The date to play: the scenario's own, or on a folder with a past the next that its clock has not reached."""
    if not (data / "clock.json").exists():
        return scenario.date
    return max(scenario.date, (_clock(data).now() + timedelta(days=1)).date())


@contextmanager
def running(
    data: Path,
    scenario: Scenario,
    on: date,
    speed: float,
    *,
    keep: bool = False,
    progress: Progress | None = None,
) -> Iterator[Stage]:
    """A ready stack whose business clock starts before dawn of that date; its log is DATA/logs/supervisor.log.

    `keep` leaves it running afterwards, also after an error of the day; else it ends with this process, however that
    ends. Raises `StackError`.
    """
    class_path(progress)  # fetched before the clock starts
    options = Options(clock_start=scenario.at(on, scenario.clock_starts), clock_speed=speed)
    environment = {"HALFDAY_HOLD_TTL_S": str(scenario.hold_ttl_s)}
    process = supervisor.launch(data, options, with_parent=not keep, environment=environment)
    ready = False
    try:
        supervisor.wait_ready(process, data)
        ready = True
        yield Stage(data, endpoints.read(data), Secrets.load(data).kafka["admin"], _clock(data))
    finally:
        if not (keep and ready):
            process.terminate()
            process.wait(STOPPED_WITHIN_S)


def _clock(data: Path) -> Clock:
    kept = json.loads((data / "clock.json").read_text())
    anchor, start = (datetime.fromisoformat(kept[name]) for name in ("anchor", "start"))
    return Clock(anchor.astimezone(UTC), start.astimezone(UTC), float(kept["speed"]))
