"""Logs that a running process writes stay within their limit, and their last lines are there."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.processes import log_rotation
from deploy.local.processes.child import Child, wait_until
from deploy.local.processes.log_rotation import LogRotation, rotate

LIMIT = 20_000


@pytest.fixture
def rotation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LogRotation]:
    monkeypatch.setattr(log_rotation, "LIMIT", LIMIT)
    monkeypatch.setattr(log_rotation, "_EVERY_S", 0.01)
    running = LogRotation(tmp_path)
    yield running
    running.stop()


def lines(log: Path) -> list[str]:
    return [line.rstrip(".") for line in log.read_text().splitlines()]


def test_a_process_that_goes_on_writing_does_not_fill_the_disk(tmp_path: Path, rotation: LogRotation) -> None:
    log, go_on = tmp_path / "orders.api.log", tmp_path / "go"
    code = (
        "import sys, pathlib, time\n"
        "go = pathlib.Path(sys.argv[1])\n"
        "for n in range(5000):\n"
        "    print(f'line {n:06}'.ljust(99, '.'), flush=True)\n"
        "    while n % 250 == 249 and not go.exists():\n"
        "        time.sleep(0.01)\n"
        "        print(f'line {n:06}', flush=True)\n"  # one of them outlives the cut
        "    if n % 250 == 249: go.unlink()\n"
        "time.sleep(60)\n"
    )
    child = Child([sys.executable, "-c", code, go_on], log=log, pidfile=tmp_path / "pid")
    for written in range(250, 5001, 250):
        last = f"line {written - 1:06}"
        assert wait_until(lambda last=last: last in newest(tmp_path), 60)
        go_on.touch()
        assert wait_until(lambda: not go_on.exists(), 60)
    assert wait_until(lambda: log.stat().st_size <= LIMIT, 10)
    names = sorted(path.name for path in tmp_path.glob("*.log*"))
    assert names == ["orders.api.log", *(f"orders.api.log.{n}" for n in range(1, 5))]
    total = sum(path.stat().st_size for path in tmp_path.glob("*.log*"))
    assert total <= 5 * (LIMIT + 25_000 + 100), "5 000 lines are 500 kB"
    child.stop()


def newest(folder: Path) -> str:
    """The last line that any of the log's files has."""
    found = [lines(path)[-1:] for path in folder.glob("*.log*") if path.exists()]
    return max((line[0] for line in found if line), default="")


def test_older_logs_move_on_and_the_oldest_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_rotation, "LIMIT", 3)
    log = tmp_path / "kafka.log"
    for n in range(7):
        log.write_text(f"run {n}")
        rotate(log)
        assert not log.exists()
    assert [(tmp_path / f"kafka.log.{n}").read_text() for n in range(1, 5)] == ["run 6", "run 5", "run 4", "run 3"]
    assert len(list(tmp_path.iterdir())) == 4
    log.write_text("abc")
    rotate(log)
    assert log.exists(), "not over the limit"


def test_a_log_that_cannot_be_copied_is_cut_all_the_same(
    tmp_path: Path, rotation: LogRotation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(log_rotation.shutil, "copyfileobj", full)
    log = tmp_path / "kafka.log"
    with log.open("ab") as file:
        file.write(b"x" * (LIMIT + 1))
        file.flush()
        assert wait_until(lambda: log.stat().st_size == 0, 10)
        file.write(b"it goes on")
    assert log.read_bytes() == b"it goes on"
    assert [path.name for path in tmp_path.iterdir()] == ["kafka.log"]


def test_the_thread_ends(tmp_path: Path, rotation: LogRotation) -> None:
    rotation.stop()
    rotation.stop()
    assert "log rotation" not in {thread.name for thread in threading.enumerate()}
