"""The main job as a newcomer runs it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from deploy.local.processes.child import wait_until
from deploy.local.services import ROOT
from deploy.scenarios.generator import make_day
from deploy.scenarios.load import load
from deploy.scenarios.outcome.expected_outcome import expected_outcome

Start = Callable[..., subprocess.Popen[str]]
pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `halfday demo` from another folder, its temporary folders under `tmp_path`; ends it with the test."""
    demos: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        demo = subprocess.Popen(
            [sys.executable, "-m", "deploy.cli", "demo", *arguments],
            cwd=tmp_path,
            env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        demos.append(demo)
        return demo

    yield run
    for demo in demos:
        demo.terminate()
        demo.communicate(timeout=90)


def using(folder: Path) -> Iterator[psutil.Process]:
    """Processes that say this folder in their command line."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if str(folder) in " ".join(process.cmdline()):
                yield process


def test_a_market_day_ends_as_planned_and_leaves_nothing_behind(start: Start, tmp_path: Path) -> None:
    demo = start("--seed", "7", "--json")
    assert demo.stderr is not None
    assert "market-day, seed 7" in demo.stderr.readline()
    # What it worked, not how long it took: a busy machine may let it wait.
    assert sum(psutil.Process(demo.pid).cpu_times()[:2]) < 2
    out, err = demo.communicate()
    assert demo.returncode == 0, err[-3000:]
    found = json.loads(out)
    plan = expected_outcome(make_day(load("market-day"), 7))
    assert found["ok"] is True
    assert found["open_points"] == []
    assert found["figures"]["ends"] == dict(plan.ends)
    assert {good["item"]: good["sold"] for good in found["figures"]["goods"]} == dict(plan.sold)
    assert [wave["state"] for wave in found["figures"]["waves"]] == ["done", "done"]
    assert {buy["group_buy"]: buy["verdict"] for buy in found["figures"]["group_buys"]} == {
        name: buy.verdict for name, buy in plan.group_buys.items()
    }
    (burst,) = found["figures"]["bursts"]
    assert burst["rejected"] > 0 < burst["reserved_ms"]["p99"]
    assert found["figures"]["parked"] == 0
    assert min(found["figures"]["absorbed"][name] for name in ("orders sent twice", "stall uploads")) > 0
    assert found["figures"]["absorbed"]["courier uploads"] > 0
    assert list(using(tmp_path)) == []
    assert list(tmp_path.glob("halfday-demo-*")) == []


def test_a_demo_that_is_ended_stops_its_stack(start: Start, tmp_path: Path) -> None:
    demo = start()
    assert wait_until(lambda: any("kafka.Kafka" in " ".join(p.cmdline()) for p in using(tmp_path)), 90)
    demo.send_signal(signal.SIGTERM)
    demo.communicate(timeout=90)
    assert demo.returncode == 143
    assert wait_until(lambda: not list(using(tmp_path)), 30)
    assert list(tmp_path.glob("halfday-demo-*")) == []


def test_a_scenario_that_does_not_exist_is_refused_in_a_sentence(start: Start) -> None:
    demo = start("--scenario", "moon-day")
    _, err = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert err == "unknown scenario 'moon-day', expected one of: busy-city, market-day\n"
