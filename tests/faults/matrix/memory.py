"""The memory of processes over time."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from statistics import median

import psutil

EVERY_S = 5.0
WARM_UP_S = 15.0
"""A process that has just been started has not yet what it needs."""
MARGIN_MB, MARGIN = 15.0, 1.15
MB = 1 << 20


class Memory:
    """Samples by process name. Of a server with children it is the memory of all, what they share counted once."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._samples: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def sample(self, pids: Mapping[str, int]) -> None:
        """Takes a sample of each process that is old enough."""
        for name, pid in pids.items():
            with suppress(psutil.Error):
                process = psutil.Process(pid)
                if time.time() - process.create_time() > WARM_UP_S:
                    self.add(name, time.monotonic() - self._began, _mb(process))

    def add(self, name: str, at: float, mb: float) -> None:
        """Notes that the process had so much memory so many seconds after the beginning."""
        self._samples[name].append((at, mb))

    def minutes(self) -> dict[str, dict[int, float]]:
        """The median of each minute, in MB."""
        found: dict[str, dict[int, float]] = {}
        for name, samples in self._samples.items():
            by_minute: dict[int, list[float]] = defaultdict(list)
            for at, mb in samples:
                by_minute[int(at // 60)].append(mb)
            found[name] = {minute: median(some) for minute, some in by_minute.items()}
        return found

    def growth(self) -> list[str]:
        """Those whose peak in the last third is above that in the second by more than the noise; the first third is
        warming up. Peaks, for a median tells when a process was killed, since each life begins small.
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
        """MB of each process by minute, as Markdown."""
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
