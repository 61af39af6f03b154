"""Keeps logs of a running stack small: `NAME.log` and four older ones, `NAME.log.1` to `.4`, at most 20 MB each.

A child has its log open for appending, so a full log is copied and then truncated; a line written at that moment may be
missing from the copy.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
from pathlib import Path

LIMIT = 20_000_000
OLDER = 4
_EVERY_S = 1.0


def rotate(log: Path) -> None:
    """Move a log above the limit to `.1`, and older ones on; only for a log that no process has open."""
    if _is_full(log):
        _shift(log)
        log.replace(_older(log, 1))


class LogRotation:
    """Rotates the logs of a folder once a second until `stop`, in its own thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log rotation", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread. May be called twice."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(_EVERY_S):
            for log in self._folder.glob("*.log"):
                with contextlib.suppress(OSError):  # again in a second
                    _cut(log)


def _cut(log: Path) -> None:
    if not _is_full(log):
        return
    _shift(log)
    with log.open("r+b") as file:
        try:
            with _older(log, 1).open("wb") as copy:
                shutil.copyfileobj(file, copy)
        except OSError:  # on a full disk, space is worth more than old lines
            _older(log, 1).unlink(missing_ok=True)
        file.truncate(0)


def _is_full(log: Path) -> bool:
    return log.exists() and log.stat().st_size > LIMIT


def _shift(log: Path) -> None:
    for number in range(OLDER, 1, -1):
        with contextlib.suppress(FileNotFoundError):
            _older(log, number - 1).replace(_older(log, number))


def _older(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")
