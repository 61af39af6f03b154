"""Children that can't outlive us, and the keeper that starts them again."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy.local.errors import StackError
from deploy.local.processes import child as process
from deploy.local.processes import restart
from deploy.local.processes.restart import Restarter

SLEEP = [sys.executable, "-c", "print('up', flush=True); import time; time.sleep(600)"]


def gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def child(tmp_path: Path) -> Iterator[process.Child]:
    made = process.Child(SLEEP, log=tmp_path / "child.log", pidfile=tmp_path / "child.pid")
    yield made
    made.stop(signal.SIGKILL)


def test_a_child_is_logged_and_stopped(child: process.Child) -> None:
    assert process.wait_until(lambda: "up" in child.output(), 20)
    assert child.poll() is None
    child.stop()
    assert child.poll() == -signal.SIGTERM
    assert not child.pidfile.exists()


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    stubborn = process.Child([sys.executable, "-c", code], log=tmp_path / "log", pidfile=tmp_path / "pid")
    assert process.wait_until(lambda: "up" in stubborn.output(), 20)
    stubborn.stop(timeout=0.2)
    assert stubborn.poll() == -signal.SIGKILL


def test_a_child_made_in_a_short_thread_outlives_the_thread(tmp_path: Path) -> None:
    made: list[process.Child] = []
    thread = threading.Thread(
        target=lambda: made.append(process.Child(SLEEP, log=tmp_path / "log", pidfile=tmp_path / "pid"))
    )
    thread.start()
    thread.join()
    try:
        assert process.wait_until(lambda: "up" in made[0].output(), 20)
        assert made[0].poll() is None
    finally:
        made[0].stop()


def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from deploy.local.processes.child import Child; d = pathlib.Path(sys.argv[1]);"
        f"c = Child({SLEEP!r}, log=d / 'log', pidfile=d / 'pid'); print(c.pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    # Only once the program itself runs is the leash on.
    assert process.wait_until(lambda: "up" in (tmp_path / "log").read_text(), 20)
    parent.kill()
    parent.communicate()
    assert process.wait_until(lambda: gone(pid), 10)


def test_a_leftover_is_ended_and_a_stranger_with_its_pid_is_not(tmp_path: Path, child: process.Child) -> None:
    stranger = tmp_path / "stranger.pid"
    stranger.write_text(f"[{child.pid}, 12.5]")
    process.kill_leftover(stranger)
    assert child.poll() is None
    process.kill_leftover(child.pidfile)
    assert child.wait(10) is not None
    assert not child.pidfile.exists()
    assert not stranger.exists()


@pytest.mark.parametrize("text", ["", "[]", "nonsense", "[999999999, 1]"])
def test_a_strange_pid_file_is_no_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "pid").write_text(text)
    process.kill_leftover(tmp_path / "pid")
    assert not (tmp_path / "pid").exists()


def test_a_short_command_gives_code_and_output() -> None:
    done = process.run(["sh", "-c", 'cat; echo "$WORD"; exit 3'], stdin="in ", env={**os.environ, "WORD": "out"})
    assert (done.returncode, done.stdout) == (3, "in out\n")


class Flaky:
    """A process that follows a plan: each start either raises an error, or lives for that many seconds."""

    def __init__(self, *plan: StackError | float) -> None:
        self.plan = list(plan)
        self.starts: list[float] = []
        self.stops = 0
        self._ended = threading.Event()
        self._life = 0.0

    @property
    def pid(self) -> int:
        return len(self.starts)

    def start(self) -> None:
        self.starts.append(time.monotonic())
        step = self.plan.pop(0) if self.plan else 600.0
        if isinstance(step, StackError):
            raise step
        self._ended.clear()
        self._life = step

    def wait(self) -> int | None:
        return 0 if self._ended.wait(self._life) else 1

    def stop(self) -> None:
        self.stops += 1
        self._ended.set()


def keep(kept: Flaky) -> tuple[Restarter, list[str], list[int]]:
    said: list[str] = []
    changes: list[int] = []
    return Restarter("it", kept, changed=lambda: changes.append(kept.pid), say=said.append), said, changes


def test_what_ends_is_started_again_after_a_growing_pause() -> None:
    kept = Flaky(0.0, 0.0, StackError("no disk"), 600.0)
    it, said, changes = keep(kept)
    assert process.wait_until(lambda: len(kept.starts) == 4, 20)
    it.stop()
    pauses = [later - earlier for earlier, later in zip(kept.starts, kept.starts[1:], strict=False)]
    assert pauses[0] >= 0.1
    assert pauses[1] >= 0.2
    assert pauses[2] >= 0.4
    assert said[0] == "it: ended with code 1; restarting in 0.1 s"
    assert said[2] == "it: no disk; restarting in 0.4 s"
    assert changes == [1, 2, 4]


def test_health_makes_the_pause_short_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restart, "HEALTHY_AFTER", 0.05)
    kept = Flaky(0.0, 0.0, 0.1, 600.0)
    it, said, _ = keep(kept)
    assert process.wait_until(lambda: len(kept.starts) == 4, 20)
    it.stop()
    assert [line.rpartition("in ")[2] for line in said] == ["0.1 s", "0.2 s", "0.1 s"]


def test_a_first_start_that_fails_is_told_and_not_tried_again() -> None:
    kept = Flaky(StackError("no Java"))
    it, _, changes = keep(kept)
    with pytest.raises(StackError, match="no Java"):
        it.started.result(20)
    it.stop()
    assert len(kept.starts) == 1
    assert changes == []


def test_stop_ends_it_for_good() -> None:
    kept = Flaky()
    it, said, _ = keep(kept)
    it.started.result(20)
    it.stop()
    assert kept.stops >= 1
    assert len(kept.starts) == 1
    assert said == []
