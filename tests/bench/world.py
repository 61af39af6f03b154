"""The environment of all measurements: one Kafka and one PostgreSQL with fsync on, and processes that share a core.

The services of a variant share one core, the load has the other, Kafka and PostgreSQL use both. On a machine with one
core, or without pinning, all use all cores.
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
    """Pin this process, and the processes it starts from now on, to one core."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {core})


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Child:
    """A process of a variant with the port on which it reports ready, and its log."""

    process: asyncio.subprocess.Process
    port: int
    log: Path

    @property
    def mb(self) -> float:
        """Resident memory in MB."""
        return psutil.Process(self.process.pid).memory_info().rss / 2**20

    @property
    def cpu_s(self) -> float:
        """CPU seconds used so far."""
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def is_ready(self) -> bool:
        """Return True if it reports ready; raises with its log when it has ended."""
        assert self.process.returncode is None, self.log.read_text()[-3000:]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ready", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            return False

    async def kill(self) -> None:
        """Kill it as a crash would."""
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()

    async def stop(self) -> None:
        """Stop it cleanly, or by force after 15 s."""
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), 15)
        except TimeoutError:
            await self.kill()


@dataclass
class World:
    """Kafka and PostgreSQL, and every process started beside them."""

    stack: TestStack
    home: Path
    children: list[Child] = field(default_factory=list)
    pools: list[asyncpg.Pool] = field(default_factory=list)

    async def pool(self, url: str, size: int = 2) -> asyncpg.Pool:
        """Return a connection pool for the load."""
        self.pools.append(await asyncpg.create_pool(url, min_size=size, max_size=size))
        return self.pools[-1]

    async def database(self, schema: str) -> str:
        """Create a database with these tables; return its URL."""
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
        """Give every database the statistics that autovacuum would collect soon."""
        for pool in self.pools:
            await pool.execute("vacuum analyze")

    def kafka(self) -> dict[str, str]:
        """Return a peer's Kafka settings; it logs in as admin."""
        return {"KAFKA": self.stack.kafka_bootstrap, "KAFKA_USER": "admin", "KAFKA_PASSWORD": self.stack.users["admin"]}

    async def start(
        self, arguments: Sequence[str], port: int, environment: Mapping[str, str], *, ready: bool = True
    ) -> Child:
        """Start `python -m ARGUMENTS` on the services' core; return when it is ready."""
        log = self.home / f"{'-'.join(arguments)}-{len(self.children)}.log"
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", *arguments, env=os.environ | dict(environment), stdout=out, stderr=out,
                preexec_fn=lambda: pin(0),
            )  # fmt: skip
        self.children.append(Child(process, port, log))
        child = self.children[-1]
        if ready:
            await eventually(lambda: asyncio.to_thread(child.is_ready), 60, f"{arguments} to be ready, see {log}")
        return child


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    """A world for one run; on return all of its processes have ended."""
    with tempfile.TemporaryDirectory(prefix="halfday-bench-") as folder:
        stack = await asyncio.to_thread(start_embedded, Path(folder))
        found = World(stack, Path(folder))
        pin(1)  # after the pair has started, which uses all cores
        try:
            yield found
        finally:
            for pool in found.pools:
                pool.terminate()
            for child in found.children:
                await child.kill()
            await asyncio.to_thread(stack.stop)
