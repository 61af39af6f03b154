"""The main job as a newcomer runs it, while the machine is wanted by others: the day waits for its people and ends with
the same counts.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import psutil
import pytest

from deploy.local.processes.child import wait_until
from deploy.local.services import ROOT
from deploy.scenarios.generator import make_day
from deploy.scenarios.load import load
from deploy.scenarios.outcome.expected_outcome import expected_outcome

Start = Callable[..., subprocess.Popen[str]]
pytestmark = [pytest.mark.stack, pytest.mark.timeout(1_200)]
SPIN = [sys.executable, "-c", "while True: pass"]


@contextmanager
def load_that_comes_and_goes(seed: int, begin: threading.Event) -> Iterator[None]:
    """Two busy loops from `begin` on, stopped and started again every few seconds until the block ends."""
    ended, rng = threading.Event(), Random(seed)

    def work() -> None:
        begin.wait()
        while not ended.is_set():
            loops = [subprocess.Popen(SPIN) for _ in range(2)]
            try:
                ended.wait(rng.uniform(5, 15))
            finally:
                for loop in loops:
                    loop.kill()
                    loop.wait()
            ended.wait(rng.uniform(2, 6))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        begin.set()
        thread.join()


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


def _played(start: Start, folder: Path, seed: int) -> dict[str, Any]:
    """Play a day during which the load rises as soon as the stack is ready; return its figures once they hold."""
    begin = threading.Event()
    with load_that_comes_and_goes(seed, begin):
        demo = start("--seed", str(seed), "--json")
        assert demo.stderr is not None
        said = [demo.stderr.readline()]
        assert f"market-day, seed {seed}" in said[0]
        # What it worked, not how long it took: a busy machine may let it wait.
        assert sum(psutil.Process(demo.pid).cpu_times()[:2]) < 2
        for line in demo.stderr:
            said.append(line)
            if line.startswith("Ready."):
                begin.set()
        out, _ = demo.communicate()
    assert demo.returncode == 0, "".join(said)[-3000:]
    found: dict[str, Any] = json.loads(out)
    plan, figures = expected_outcome(make_day(load("market-day"), seed)), found["figures"]
    assert (found["ok"], found["open_points"]) == (True, [])
    assert figures["ends"] == dict(plan.ends)
    assert {good["item"]: good["sold"] for good in figures["goods"]} == dict(plan.sold)
    assert figures["waited_s"], "the clock is known to have waited on a machine like this"
    assert {buy["group_buy"]: buy["verdict"] for buy in figures["group_buys"]} == {
        name: buy.verdict for name, buy in plan.group_buys.items()
    }
    assert list(using(folder)) == []
    assert list(folder.glob("halfday-demo-*")) == []
    return found


def test_a_market_day_ends_as_planned_while_the_load_rises_and_falls_and_leaves_nothing_behind(
    start: Start, tmp_path: Path
) -> None:
    figures = _played(start, tmp_path, 7)["figures"]
    assert [wave["state"] for wave in figures["waves"]] == ["done", "done"]
    (burst,) = figures["bursts"]
    assert burst["rejected"] > 0 < burst["reserved_ms"]["p99"]
    assert figures["parked"] == 0
    assert min(figures["absorbed"][name] for name in ("orders sent twice", "stall uploads", "courier uploads")) > 0


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 11))
def test_every_seed_ends_right_while_the_load_rises_and_falls(start: Start, tmp_path: Path, seed: int) -> None:
    found = _played(start, tmp_path, seed)
    figures = found["figures"]
    print(f"\nseed {seed}: {found['seconds']} s in all, played {figures['played_s']} s, waited {figures['waited_s']}")


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
