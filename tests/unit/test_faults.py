"""Crash points do what FAULT says, at the pass it says, and nothing otherwise."""

import os
import signal
import subprocess
import sys
import time

import pytest

from services.kit import faults
from services.kit.errors import InjectedFault


def run(spec: str, code: str) -> subprocess.CompletedProcess[str]:
    """A Python process with FAULT set."""
    program = f"from services.kit.faults import point\n{code}"
    environment = {**os.environ, "FAULT": spec}
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)


def test_nothing_happens_without_a_plan() -> None:
    assert faults.point("relay.after_send") is False


def test_kill_ends_the_process_at_the_named_pass() -> None:
    done = run("relay.after_send:kill@3", "for n in range(5): print(n, flush=True); point('relay.after_send')")
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == ["0", "1", "2"]


def test_other_points_are_not_touched() -> None:
    done = run("relay.after_send:kill", "point('inbox.after_insert'); print('alive')")
    assert done.stdout.strip() == "alive"


def test_raise_acts_once() -> None:
    with faults.armed("a:raise@2"):
        assert faults.point("a") is False
        with pytest.raises(InjectedFault, match="a"):
            faults.point("a")
        assert faults.point("a") is False


def test_drop_and_sleep_side_by_side() -> None:
    with faults.armed("a:drop,b:sleep:0.05"):
        assert faults.point("a") is True
        began = time.monotonic()
        assert faults.point("b") is False
        assert time.monotonic() - began >= 0.05


@pytest.mark.parametrize("spec", ["a", "a:explode", "a:kill:3", "a:sleep:soon", "a:kill@often", ":kill"])
def test_a_plan_that_makes_no_sense_is_refused(spec: str) -> None:
    with pytest.raises(ValueError, match="name:action@n"):
        faults.parse(spec)


def test_the_plan_ends_with_its_block() -> None:
    with faults.armed("a:drop"):
        pass
    assert faults.point("a") is False
