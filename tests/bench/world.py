"""Where everything is measured: one Kafka and one PostgreSQL with fsync on, and processes that share a core.

The services of a variant share one core, the load has the other, Kafka and PostgreSQL float. Where a machine has one
core, or can't pin, all float.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import psutil

from tests.stack import TestStack, eventually, start_embedded


def pin(core: int) -> None:
    """Keeps this process, and what it starts from here on, on one core."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {core})


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Child:
    """A process of a variant. `url` is where it says whether it is ready."""

    process: asyncio.subprocess.Process
    port: int
    log: Path

    @property
    def mb(self) -> float:
        """Its resident memory."""
        return psutil.Process(self.process.pid).memory_info().rss / 2**20

    @property
    def cpu_s(self) -> float:
        """The CPU seconds that it used so far."""
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def is_ready(self) -> bool:
        """Whether it says so; fails with its log when it has ended."""
        assert self.process.returncode is None, self.log.read_text()[-3000:]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ready", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            return False

    async def kill(self) -> None:
        """Ends it as a crash would."""
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()

    async def stop(self) -> None:
        """Ends it cleanly, or after 15 s by force."""
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), 15)
        except TimeoutError:
            await self.kill()


@dataclass
class World:
    """The pair, and every process that was started beside it."""

    stack: TestStack
    home: Path
    children: list[Child] = field(default_factory=list)
    pools: list[asyncpg.Pool] = field(default_factory=list)

    async def pool(self, url: str, size: int = 2) -> asyncpg.Pool:
        """Connections of the load's own."""
        self.pools.append(await asyncpg.create_pool(url, min_size=size, max_size=size))
        return self.pools[-1]

    async def database(self, schema: str) -> str:
        """The URL of a new database with these tables."""
        name = f"peer_{secrets.token_hex(4)}"
        admin = await asyncpg.connect(self.stack.admin_url)
        await admin.execute(f"create database {name}")
        await admin.close()
        url = self.stack.admin_url.removesuffix("/postgres") + f"/{name}"
        conn = await asyncpg.connect(url)
        await conn.execute(schema)
        await conn.close()
        return url

    async def analyze(self) -> None:
        """Lets the planner know of every database what autovacuum would have found out soon."""
        for pool in self.pools:
            await pool.execute("vacuum analyze")

    def kafka(self) -> dict[str, str]:
        """What a peer is told of Kafka; it logs in as admin."""
        return {"KAFKA": self.stack.kafka_bootstrap, "KAFKA_USER": "admin", "KAFKA_PASSWORD": self.stack.users["admin"]}

    async def start(self, arguments: Sequence[str], port: int, told: Mapping[str, str], *, ready: bool = True) -> Child:
        """`python -m ARGUMENTS` on the services' core; returns when it is ready."""
        log = self.home / f"{'-'.join(arguments)}-{len(self.children)}.log"
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", *arguments, env=os.environ | dict(told), stdout=out, stderr=out,
                preexec_fn=lambda: pin(0),
            )  # fmt: skip
        self.children.append(Child(process, port, log))
        child = self.children[-1]
        if ready:
            await eventually(lambda: asyncio.to_thread(child.is_ready), 60, f"{arguments} to be ready, see {log}")
        return child


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    """A world for one run; on return none of its processes is left."""
    with tempfile.TemporaryDirectory(prefix="halfday-bench-") as folder:
        stack = await asyncio.to_thread(start_embedded, Path(folder))
        found = World(stack, Path(folder))
        pin(1)  # after the pair has started, which floats
        try:
            yield found
        finally:
            for pool in found.pools:
                pool.terminate()
            for child in found.children:
                await child.kill()
            await asyncio.to_thread(stack.stop)
