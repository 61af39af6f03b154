"""Kills the processes of a stack one after another, the next one only when the previous one is ready again."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx2

from deploy.local import endpoints

SERVICES = ("orders", "inventory", "dispatch")
WORKERS = tuple(f"{service}.worker" for service in SERVICES)
STORES = ("kafka", "postgres")
PROCESSES = (*(f"{service}.api" for service in SERVICES), *WORKERS, *STORES)
CRASH_POINTS = {
    "orders.worker": "relay.after_send:kill@40",
    "inventory.worker": "effect.after_commit_before_ack:kill@40",
    "dispatch.worker": "relay.before_mark:kill@40",
}
"""The crash point that kills each worker in its first life: after an effect and before it is recorded, so that the
message is delivered again.
"""
RESTART_WITHIN_S = 120.0
_DUPLICATES = re.compile(r"^halfday_duplicates_absorbed_total\{.*\} (\S+)$", re.M)


def program(marks: Path, **settings: str) -> Callable[[str, str], list[str]]:
    """Return the command factory of service processes with extra settings; each worker is armed with its crash point
    once.
    """

    def command(service: str, role: str) -> list[str]:
        name = f"{service}.{role}"
        words = [f"export {key}={shlex.quote(value)};" for key, value in settings.items()]
        if name in CRASH_POINTS:
            words.append(f"mkdir {shlex.quote(str(marks / name))} 2>&- && export FAULT={CRASH_POINTS[name]};")
        return ["sh", "-c", " ".join([*words, f"exec {shlex.quote(sys.executable)} -m services.{service} {role}"])]

    return command


class Chaos:
    """Kills processes of the stack in `data` by process id.

    - - `killed`: names of the killed processes, in order; `crashed`: those that died at their crash point.
    - `slowest`: the longest restart in seconds, with the process name; `last_fault`: monotonic time of the last
      restart.
    - `duplicates`: redeliveries that the workers' inboxes absorbed, as far as the metric was read before a kill.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self._first = self.pids()
        self._ports: dict[str, int] = json.loads((data / "ports.json").read_text())
        self._counted: dict[tuple[str, int], float] = {}
        self.killed: list[str] = []
        self.crashed: list[str] = []
        self.slowest = (0.0, "")
        self.last_fault = time.monotonic()

    @property
    def duplicates(self) -> int:
        """Number of redeliveries that the inboxes absorbed."""
        return int(sum(self._counted.values()))

    async def crash(self, name: str) -> None:
        """Wait until the worker has died at its crash point and is ready again."""
        await self.wait_for_restart(name, self._first[name])
        self.crashed.append(name)

    async def kill(self, name: str) -> None:
        """Send SIGKILL; return when the supervisor has restarted the process and it is ready."""
        pid = self.pids()[name]
        self.killed.append(name)
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        await self.wait_for_restart(name, pid)
        self.last_fault = time.monotonic()
        self.slowest = max(self.slowest, (self.last_fault - began, name))

    async def wait_for_restart(self, name: str, pid: int) -> None:
        """Wait until a process other than `pid` has this name and is ready; after a broker or database restart, all
        services too.
        """
        deadline = time.monotonic() + RESTART_WITHIN_S
        awaited = set(self.pids()) - set(STORES) if name in STORES else {name}
        while why := "no new process runs" if self.pids()[name] == pid else await self._unready(awaited):
            assert time.monotonic() < deadline, f"{name} is not ready {RESTART_WITHIN_S:.0f} s after its end: {why}"
            await asyncio.sleep(0.05)

    async def _unready(self, names: set[str]) -> str:
        found = await asyncio.to_thread(endpoints.readiness, self._data)
        return "; ".join(
            f"{name}: {why}" for name, why in found.items() if name in names and not endpoints.is_ready(why)
        )

    def pids(self) -> dict[str, int]:
        """Return the running processes: name to process id."""
        return {process["name"]: process["pid"] for process in endpoints.read(self._data)["processes"]}

    async def count_duplicates(self) -> None:
        """Read the metric of each worker every half second, until cancelled."""
        async with httpx2.AsyncClient(timeout=2, trust_env=False) as http:
            while True:
                for name in WORKERS:
                    pid = self.pids()[name]
                    with suppress(httpx2.TransportError):
                        page = await http.get(f"http://127.0.0.1:{self._ports[name]}/metrics")
                        self._counted[name, pid] = sum(map(float, _DUPLICATES.findall(page.text)))
                await asyncio.sleep(0.5)
