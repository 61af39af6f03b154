"""`halfday demo`: runs a whole market day on a stack of its own."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators
from rich.console import Console

if TYPE_CHECKING:
    from deploy.scenarios.model import Scenario
    from deploy.scenarios.run.demo_run import DemoResult

_BEGAN = time.monotonic()


def demo(
    *,
    scenario: str = "market-day",
    seed: int = 1,
    speed: Annotated[float | None, Parameter(validator=validators.Number(gt=0))] = None,
    data: Path | None = None,
    keep: Annotated[bool, Parameter(negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Run one market day on real Kafka and PostgreSQL, then print its figures and the audit.

    Exit code 0 only if every order ended as planned, there are no dead letters or unread records, and the audit passed.
    Example: halfday demo --seed 7 --keep

    Parameters
    ----------
    scenario
        Name of a folder in deploy/scenarios.
    seed
        Seed of the day: the same seed gives the same orders.
    speed
        Most business seconds per real second. By default the scenario's own while people act, more in between. The
        clock waits for late actors and services, so a slow machine only makes the day longer.
    data
        Data folder, kept afterwards; by default a temporary one.
    keep
        Leave the stack running and print commands for it.
    as_json
        Figures as one JSON object on stdout, progress on stderr.
    """
    console = Console(stderr=as_json)
    from deploy.scenarios.load import load
    from deploy.scenarios.model import ScenarioError
    from deploy.scenarios.run.demo_run import DayFailed

    try:
        plan = load(scenario)
        console.print(f"{scenario}, seed {seed}: starting Kafka, PostgreSQL and the services ...", soft_wrap=True)
        return _run(console, plan, seed, speed, data, keep, as_json)
    except (ScenarioError, DayFailed) as error:
        print(error, file=sys.stderr)
        return 1


def _run(
    console: Console, plan: Scenario, seed: int, speed: float | None, data: Path | None, keep: bool, as_json: bool
) -> int:
    from deploy.local import endpoints
    from deploy.scenarios.run.demo_run import run_demo

    for number in (signal.SIGTERM, signal.SIGHUP):  # exits through the handlers that stop the stack
        signal.signal(number, lambda caught, _: sys.exit(128 + caught))
    with _folder(data, keep) as folder:
        outcome = run_demo(console, folder, plan, seed, speed, keep)
        _show(console, outcome, time.monotonic() - _BEGAN, as_json)
        if keep:
            console.print(f"The stack is still running: ./halfday status --data {folder}", soft_wrap=True)
            console.print(f"Front door: {endpoints.read(folder)['door']}", soft_wrap=True)
            console.print(f"Addresses: {folder / 'endpoints.json'}", soft_wrap=True)
            console.print(f"Stop it: ./halfday down --data {folder}", soft_wrap=True)
    return 0 if outcome.ok else 1


@contextmanager
def _folder(data: Path | None, keep: bool) -> Iterator[Path]:
    if data is not None:
        yield data.absolute()
        return
    folder = Path(tempfile.mkdtemp(prefix="halfday-demo-"))
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _show(console: Console, outcome: DemoResult, seconds: float, as_json: bool) -> None:
    from deploy.scenarios.outcome.report import report

    report(console, outcome.figures, outcome.plan)
    for line in outcome.open_points:
        console.print(f"UNEXPECTED: {line}", style="red", soft_wrap=True)
    for line in outcome.audit:
        console.print(line, soft_wrap=True)
    verdict = "Everything ended as planned and the audit passed" if outcome.ok else "The day did not end as planned"
    console.print(f"{verdict}: {seconds:.1f} s in all", style="bold green" if outcome.ok else "bold red")
    if as_json:
        print(json.dumps({"ok": outcome.ok, "seconds": round(seconds, 1), **outcome.as_json()}, ensure_ascii=False))
