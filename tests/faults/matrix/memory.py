"""Memory of processes over time."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from statistics import median

import psutil

EVERY_S = 5.0
WARM_UP_S = 15.0
"""Age in seconds below which a process is not sampled."""
MARGIN_MB, MARGIN = 15.0, 1.15
MB = 1 << 20


class Memory:
    """Memory samples by process name. For a server with children it is the total, with shared memory counted once."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._samples: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def sample(self, pids: Mapping[str, int]) -> None:
        """Take a sample of each process that is old enough."""
        for name, pid in pids.items():
            with suppress(psutil.Error):
                process = psutil.Process(pid)
                if time.time() - process.create_time() > WARM_UP_S:
                    self.add(name, time.monotonic() - self._began, _mb(process))

    def add(self, name: str, at: float, mb: float) -> None:
        """Record the memory of a process in MB at a time in seconds since the start."""
        self._samples[name].append((at, mb))

    def minutes(self) -> dict[str, dict[int, float]]:
        """Return the median of each minute in MB."""
        found: dict[str, dict[int, float]] = {}
        for name, samples in self._samples.items():
            by_minute: dict[int, list[float]] = defaultdict(list)
            for at, mb in samples:
                by_minute[int(at // 60)].append(mb)
            found[name] = {minute: median(some) for minute, some in by_minute.items()}
        return found

    def growth(self) -> list[str]:
        """Return the processes with a higher peak in the last third than in the second, beyond noise. The first third
        is warm-up. Peaks are compared because a median depends on when a process was killed: each life begins small.
        """
        wrong = []
        for name, samples in self._samples.items():
            third = len(samples) // 3
            if third < 3:
                continue
            middle, last = (max(mb for _, mb in some) for some in (samples[third : 2 * third], samples[2 * third :]))
            if last > middle * MARGIN + MARGIN_MB:
                wrong.append(f"{name} grew from {middle:.0f} to {last:.0f} MB")
        return wrong

    def table(self) -> list[str]:
        """Return MB per process and minute as Markdown lines."""
        minutes = sorted({minute for by_minute in self.minutes().values() for minute in by_minute})
        lines = [f"| RSS in MB, minute | {' | '.join(str(minute + 1) for minute in minutes)} |"]
        lines.append(f"|---|{'---|' * len(minutes)}")
        for name, found in sorted(self.minutes().items()):
            cells = [f"{found[minute]:.0f}" if minute in found else "" for minute in minutes]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        return lines


def _mb(process: psutil.Process) -> float:
    processes = process.children(recursive=True)
    if not processes:
        return process.memory_info().rss / MB
    return sum(_share(one) for one in (process, *processes)) / MB


def _share(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        return float(process.memory_full_info().pss)
    return 0.0
