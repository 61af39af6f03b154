"""The interface between a fault and the stack: its environment, its duration, and tools to break things."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from random import Random

import httpx2
import psutil

from deploy.local.processes.child import Child
from tests.faults.matrix.environment import Environment
from tests.faults.matrix.workload import Workload
from tests.stack import eventually


@dataclass
class Injection:
    """One fault in progress. `actions` counts its effects; a fault without any proves nothing."""

    environment: Environment
    workload: Workload
    seconds: float
    rng: Random
    actions: Counter[str] = field(default_factory=Counter)
    _began: float = field(default_factory=time.monotonic)
    _extra: int = 0

    def limited_to(self, seconds: float) -> Injection:
        """Return the same injection with a duration of so many seconds from now."""
        return replace(self, seconds=seconds, _began=time.monotonic())

    @property
    def is_active(self) -> bool:
        """True until the duration is over. Raises the error that ended an actor."""
        self.workload.crew.check()
        return time.monotonic() - self._began < self.seconds

    async def wait_until_over(self) -> None:
        """Wait until the duration is over."""
        while self.is_active:
            await asyncio.sleep(0.1)  # pause: the fault itself

    async def kill(self, name: str) -> None:
        """Send SIGKILL; return when the process is ready again."""
        await self.environment.chaos.kill(name)
        self.actions["kill -9"] += 1

    async def signal_and_wait(self, name: str, sig: signal.Signals) -> None:
        """Send a signal that ends the process; return when it is ready again."""
        pid = self.pid(name)
        os.kill(pid, sig)
        await self.environment.chaos.wait_for_restart(name, pid)
        self.actions[sig.name] += 1

    def pid(self, name: str) -> int:
        """Return the current process id."""
        return self.environment.chaos.pids()[name]

    async def is_ready(self, name: str) -> bool:
        """Return True if the process reports ready within two seconds."""
        return await _ready(self.environment.ports[name])

    async def is_unresponsive(self, name: str) -> bool:
        """Return True if the process accepts a connection and does not answer for two seconds: its event loop is
        blocked.
        """
        async with httpx2.AsyncClient(timeout=2, trust_env=False) as client:
            try:
                await client.get(f"http://127.0.0.1:{self.environment.ports[name]}/live")
            except httpx2.TransportError as error:
                return isinstance(error, httpx2.ReadTimeout)
        return False

    def arm(self, name: str, faults: Iterable[str]) -> None:
        """Give one of these faults to each of the process's next lives."""
        (self.environment.folder("armed") / name).write_text("".join(f"{fault}\n" for fault in faults))

    async def freeze(self, processes: Iterable[psutil.Process], seconds: float) -> None:
        """Stop the processes with SIGSTOP for so many seconds."""
        processes = list(processes)
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        try:
            await asyncio.sleep(seconds)  # pause: the fault itself
        finally:
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.resume()
        self.actions[f"SIGSTOP {seconds:.0f} s"] += 1

    def postgres_processes(self) -> list[psutil.Process]:
        """Return the server and its backends."""
        server = psutil.Process(self.pid("postgres"))
        return [server, *server.children(recursive=True)]

    @asynccontextmanager
    async def extra_worker(self, service: str) -> AsyncIterator[int]:
        """A second, ready worker of the service; its process id."""
        self._extra += 1
        name = f"{service}.worker.extra{self._extra}"
        child = await asyncio.to_thread(self._spawn, service, name, port := _free_port())
        try:
            await eventually(lambda: _ready(port), 30, f"{name} is ready")
            yield child.pid
        finally:
            await asyncio.to_thread(child.stop)

    def _spawn(self, service: str, name: str, port: int) -> Child:
        environment_variables = psutil.Process(self.pid(f"{service}.worker")).environ()
        environment_variables |= {"HALFDAY_INSTANCE": name, "HALFDAY_HEALTH_PORT": str(port), "FAULT": ""}
        data = self.environment.data
        command = [sys.executable, "-m", f"services.{service}", "worker"]
        return Child(
            command, log=data / "logs" / f"{name}.log", pidfile=data / "pids" / name, env=environment_variables
        )


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def _ready(port: int) -> bool:
    async with httpx2.AsyncClient(timeout=2, trust_env=False) as client:
        with suppress(httpx2.TransportError):
            return (await client.get(f"http://127.0.0.1:{port}/ready")).status_code == 200
    return False
