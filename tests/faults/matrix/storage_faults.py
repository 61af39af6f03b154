"""Faults of what the services stand on: broker and database killed, paused, and cut off in the middle of a commit."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

import psutil

from tests.faults.matrix.injection import Fire
from tests.faults.matrix.replay import replay
from tests.faults.proxy import Proxy
from tests.stack import eventually

COMMIT = b"COMMIT;"
"""How the driver's commit looks on the wire."""


async def broker_killed(fire: Fire) -> None:
    """F8: kill -9 five times and more, again as soon as everybody is at work."""
    while fire.goes_on or fire.did["kill -9"] < 5:
        await fire.kill("kafka")


async def broker_paused(fire: Fire) -> None:
    """F9: silent for longer than any request waits."""
    await fire.freeze([psutil.Process(fire.pid("kafka"))], fire.seconds)


async def backends_killed(fire: Fire) -> None:
    """F12: one backend is killed, so the server throws all sessions out and recovers."""
    while fire.goes_on:
        backends = [process for process in fire.postgres()[1:] if _serves(process)]
        if backends:
            with suppress(psutil.NoSuchProcess):
                fire.rng.choice(backends).kill()
                fire.did["backend kill -9"] += 1
        await asyncio.sleep(4)  # pause: it recovers, and works for a while


def _serves(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return any(f"postgres: {name} " in " ".join(process.cmdline()) for name in ("orders", "inventory", "dispatch"))
    return False


async def server_killed(fire: Fire) -> None:
    """F13: the whole server is killed at the moment in which a COMMIT reaches it."""
    while fire.goes_on:
        await asyncio.sleep(fire.rng.uniform(1, 3))  # pause: work for a while
        pid = fire.pid("postgres")
        hit = _kill_at_commit(fire, pid)
        await asyncio.wait_for(hit.wait(), 30)
        fire.house.network.change(Proxy.heal, "postgres")
        await fire.house.chaos.back("postgres", pid)
        fire.did["kill -9 at COMMIT"] += 1


def _kill_at_commit(fire: Fire, pid: int) -> asyncio.Event:
    """Lies in wait for the next COMMIT; the event is set once it has struck."""
    hit, loop = asyncio.Event(), asyncio.get_running_loop()

    def strike(request: bytes) -> None:
        if COMMIT in request:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            loop.call_soon_threadsafe(hit.set)

    fire.house.network.change(lambda proxy: setattr(proxy, "watch", strike), "postgres")
    return hit


async def database_paused(fire: Fire) -> None:
    """F14: the server and its backends stand still."""
    await fire.freeze(fire.postgres(), max(5.0, min(30.0, fire.seconds - 5)))
    await fire.last()


async def replayed(fire: Fire) -> None:
    """F24: every group of every service begins at the first record again, under load."""
    chaos = fire.house.chaos
    before = chaos.duplicates
    while fire.goes_on:
        fire.did["records again"] += await replay(fire)
    await eventually(lambda: chaos.duplicates > before, 30, "something is absorbed")
