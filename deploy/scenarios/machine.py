"""How much of the machine we get: a business clock waits for nobody, so a busy machine needs a slower day."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from types import TracebackType
from typing import Self

# A day at its usual speed keeps some 1.6 cores busy, with about four processes at work at a time.
NEEDED_CORES, AT_WORK = 1.6, 4
SAMPLE_S = 0.6


class CoreShare:
    """Measures which share of a core a busy thread gets, while the block does something else for a moment."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self.share = 1.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _where: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _spin(self) -> None:
        began, worked = time.monotonic(), time.thread_time()
        while not self._stop.is_set() or time.monotonic() - began < SAMPLE_S:
            hashlib.pbkdf2_hmac("sha256", b"half", b"day", 10_000)  # works without the interpreter's lock
        self.share = min(1.0, (time.thread_time() - worked) / (time.monotonic() - began))


def fitting(usual: float, share: float, cores: int | None = None) -> float:
    """The speed of a day that this machine can follow: the usual one, or less where others want its cores too.

    `share` is what a busy thread of ours got of a core while another of ours was busy. Processes are served in
    turns, so from it follows how many others there are, and from that what our working processes get together.
    """
    count = cores or os.cpu_count() or 1
    others = max(0.0, count / share - 2)
    ours = count * AT_WORK / (AT_WORK + others)
    return usual if ours >= NEEDED_CORES else round(usual * ours / NEEDED_CORES)
