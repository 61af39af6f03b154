"""Sampling of repeated log lines: the first of a kind is written whole, then a count at each doubling."""

from __future__ import annotations

import logging
import time
from collections.abc import Hashable

PERIOD_S = 3600.0
KINDS = 1_000


class Repeats:
    """Counts by kind. An hour after the first of a kind the next one counts as the first again."""

    def __init__(self) -> None:
        self._seen: dict[Hashable, tuple[float, int]] = {}

    def count(self, kind: Hashable) -> int:
        """Return the number of this kind so far, this one included."""
        if len(self._seen) >= KINDS and kind not in self._seen:
            self._seen.clear()
        now = time.monotonic()
        began, times = self._seen.get(kind, (now, 0))
        if now - began > PERIOD_S:
            began, times = now, 0
        self._seen[kind] = (began, times + 1)
        return times + 1


def is_logged(times: int) -> bool:
    """Return true if the n-th of a kind gets a line: 1, 2, 4, 8 ..."""
    return times & (times - 1) == 0


def kind_of(error: BaseException) -> Hashable:
    """Return the type of an error and the line that raised it."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return type(error), at and (at.tb_frame.f_code.co_filename, at.tb_lineno)


class Sampled(logging.Filter):
    """Filter for loggers with lines that strangers can cause, such as a server's warnings about malformed requests."""

    def __init__(self) -> None:
        super().__init__()
        self._repeats = Repeats()

    def filter(self, record: logging.LogRecord) -> bool:
        """Pass the first of a kind, then a line without traceback at each doubling."""
        if record.levelno < logging.WARNING:
            return True
        error = record.exc_info[1] if record.exc_info else None
        times = self._repeats.count((record.msg, kind_of(error) if error else None))
        if times > 1:
            record.exc_info = None
            record.msg, record.args = f"{record.getMessage()} ({times} times in an hour)", ()
        return is_logged(times)
