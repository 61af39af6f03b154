"""Faults of the broker and the database: killed, paused, and cut off in the middle of a commit."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

import psutil

from tests.faults.matrix.injection import Injection
from tests.faults.matrix.replay import replay
from tests.faults.proxy import Proxy
from tests.stack import eventually

COMMIT = b"COMMIT;"
"""Bytes of the driver's commit on the wire."""


async def broker_killed(injection: Injection) -> None:
    """F8: kill -9 at least five times, each time as soon as all processes are ready again."""
    while injection.is_active or injection.actions["kill -9"] < 5:
        await injection.kill("kafka")


async def broker_paused(injection: Injection) -> None:
    """F9: the broker does not answer for longer than any request waits."""
    await injection.freeze([psutil.Process(injection.pid("kafka"))], injection.seconds)


async def backends_killed(injection: Injection) -> None:
    """F12: one backend is killed, so the server closes all sessions and recovers."""
    while injection.is_active:
        backends = [process for process in injection.postgres_processes()[1:] if _is_service_backend(process)]
        if backends:
            with suppress(psutil.NoSuchProcess):
                injection.rng.choice(backends).kill()
                injection.actions["backend kill -9"] += 1
        await asyncio.sleep(4)  # pause: recovery and some work


def _is_service_backend(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return any(f"postgres: {name} " in " ".join(process.cmdline()) for name in ("orders", "inventory", "dispatch"))
    return False


async def server_killed(injection: Injection) -> None:
    """F13: the whole server is killed at the moment a COMMIT reaches it."""
    while injection.is_active:
        await asyncio.sleep(injection.rng.uniform(1, 3))  # pause: some work
        pid = injection.pid("postgres")
        killed = _kill_at_commit(injection, pid)
        await asyncio.wait_for(killed.wait(), 30)
        injection.environment.network.change(Proxy.heal, "postgres")
        await injection.environment.chaos.wait_for_restart("postgres", pid)
        injection.actions["kill -9 at COMMIT"] += 1


def _kill_at_commit(injection: Injection, pid: int) -> asyncio.Event:
    """Kill the server at the next COMMIT; the event is set afterwards."""
    killed, loop = asyncio.Event(), asyncio.get_running_loop()

    def kill(request: bytes) -> None:
        if COMMIT in request:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            loop.call_soon_threadsafe(killed.set)

    injection.environment.network.change(lambda proxy: setattr(proxy, "watch", kill), "postgres")
    return killed


async def database_paused(injection: Injection) -> None:
    """F14: the server and its backends are stopped."""
    await injection.freeze(injection.postgres_processes(), max(5.0, min(30.0, injection.seconds - 5)))
    await injection.wait_until_over()


async def replayed(injection: Injection) -> None:
    """F24: every consumer group of every service starts at the first record again, under load."""
    chaos = injection.environment.chaos
    before = chaos.duplicates
    while injection.is_active:
        injection.actions["records again"] += await replay(injection)
    await eventually(lambda: chaos.duplicates > before, 30, "an inbox absorbs a duplicate")
