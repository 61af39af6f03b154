"""Logs of a running stack stay small: `NAME.log` and four older ones, `NAME.log.1` to `.4`, of 20 MB each at most.

A child has its log open for appending, so a full one is copied and then cut to nothing; a line that is written in
that instant may be missing from the copy.
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
    """Moves a log that is larger than the limit to `.1` and the older ones on; for a log that nobody has open."""
    if _is_full(log):
        _shift(log)
        log.replace(_older(log, 1))


class LogRotation:
    """Rotates the logs of a folder once a second until `stop`, in a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log rotation", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread. Harmless twice."""
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
        except OSError:  # a full disk needs the room more than the old lines
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
