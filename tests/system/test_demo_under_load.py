"""The main job while the machine is wanted by others: the day waits for its people and ends with the same counts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from deploy.local.services import ROOT
from deploy.scenarios.generator import make_day
from deploy.scenarios.load import load
from deploy.scenarios.outcome.expected_outcome import expected_outcome

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


def _played(folder: Path, seed: int) -> dict[str, Any]:
    """The figures of a day during which the load rises as soon as the stack is ready."""
    begin = threading.Event()
    with load_that_comes_and_goes(seed, begin):
        demo = subprocess.Popen(
            [sys.executable, "-m", "deploy.cli", "demo", "--seed", str(seed), "--json"],
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        said = []
        try:
            assert demo.stderr is not None
            for line in demo.stderr:
                said.append(line)
                if line.startswith("Ready."):
                    begin.set()
            out, _ = demo.communicate()
        finally:
            demo.terminate()
            demo.wait()
    assert demo.returncode == 0, "".join(said)[-3000:]
    found: dict[str, Any] = json.loads(out)
    return found


def _holds(found: dict[str, Any], seed: int) -> None:
    plan, figures = expected_outcome(make_day(load("market-day"), seed)), found["figures"]
    assert (found["ok"], found["open_points"]) == (True, [])
    assert figures["ends"] == dict(plan.ends)
    assert {good["item"]: good["sold"] for good in figures["goods"]} == dict(plan.sold)
    assert figures["waited_s"], "the clock is known to have waited on a machine like this"


def test_a_day_ends_right_while_the_load_rises_and_falls(tmp_path: Path) -> None:
    _holds(_played(tmp_path, 2), 2)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 11))
def test_every_seed_ends_right_while_the_load_rises_and_falls(tmp_path: Path, seed: int) -> None:
    found = _played(tmp_path, seed)
    figures = found["figures"]
    print(f"\nseed {seed}: {found['seconds']} s in all, played {figures['played_s']} s, waited {figures['waited_s']}")
    _holds(found, seed)
