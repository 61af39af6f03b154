"""A service as real processes: it waits for what is still booting, works, stops cleanly, and fails aloud."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx2
import pytest

from services.kit.database import connect_pool
from tests.integration.probe.service import IN, OUT
from tests.stack import TestStack, eventually

pytestmark = pytest.mark.stack
TOKEN = "a token of the tests"


def free_port() -> int:
    """Return a port without a listener."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Process:
    """One process of the probe service, the ports of its API and its operations pages, and what it said."""

    child: asyncio.subprocess.Process
    port: int
    operations: int
    lines: list[str] = field(default_factory=list)

    async def read(self) -> None:
        """Collects its output until it ends."""
        assert self.child.stdout
        async for line in self.child.stdout:
            self.lines.append(line.decode().rstrip())

    async def get(self, path: str) -> httpx2.Response | None:
        """The answer of an operations page, or None while nothing listens."""
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{self.operations}") as client:
            try:
                return await client.get(path)
            except httpx2.TransportError:
                return None

    async def is_ready(self) -> bool:
        """Return True if /ready answers 200."""
        answer = await self.get("/ready")
        return answer is not None and answer.status_code == 200

    async def stop(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Exit code and seconds until it was gone."""
        began = time.monotonic()
        self.child.send_signal(number)
        return await asyncio.wait_for(self.child.wait(), 20), time.monotonic() - began


@dataclass
class Service:
    """Starts processes of the probe service on one database and prefix."""

    stack: TestStack
    prefix: str
    url: str
    started: list[Process] = field(default_factory=list)
    readers: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self, role: str, **more: str) -> Process:
        """A process; it may not be ready yet."""
        port, operations = free_port(), free_port()
        settings = self.stack.settings("probe", self.url, self.prefix)
        env = os.environ | {
            "HALFDAY_DATABASE_URL": settings.database_url,
            "HALFDAY_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
            "HALFDAY_PREFIX": self.prefix,
            "HALFDAY_HTTP_PORT": str(port),
            "HALFDAY_HEALTH_PORT": str(operations),
            "HALFDAY_TOKENS": json.dumps({"operator": hashlib.sha256(TOKEN.encode()).hexdigest()}),
        }
        if settings.kafka_username and settings.kafka_password:
            env |= {
                "HALFDAY_KAFKA_USERNAME": settings.kafka_username,
                "HALFDAY_KAFKA_PASSWORD": settings.kafka_password,
            }
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.integration.edge", role,
            env=env | more, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        process = Process(child, port, operations)
        self.started.append(process)
        self.readers.append(asyncio.create_task(process.read()))
        return process

    async def create_database(self) -> None:
        """Makes the database that the URL names, as its owner's."""
        parts = urlsplit(self.url)
        conn = await asyncpg.connect(self.stack.admin_url)
        try:
            owner = f"owner {parts.username}" if self.stack.postgres else ""
            await conn.execute(f"create database {parts.path[1:]} {owner}")
        finally:
            await conn.close()

    async def create_topics(self) -> None:
        """Makes the probe's topics."""
        for name, partitions in ((IN, 4), (OUT, 4), ("probe.dlq.v1", 1)):
            await asyncio.to_thread(self.stack.topic, self.prefix + name, partitions)

    async def totals(self) -> dict[str, int]:
        """The accounts."""
        pool = await connect_pool(self.stack.settings("probe", self.url, self.prefix))
        try:
            return {row["name"]: row["total"] for row in await pool.fetch("select name, total from account")}
        finally:
            pool.terminate()


@pytest.fixture
async def service(stack: TestStack, prefix: str) -> AsyncIterator[Service]:
    """A service without its database and topics."""
    any_url = await stack.database("edge")
    name = f"t_{secrets.token_hex(6)}"
    found = Service(stack, prefix, urlunsplit(urlsplit(any_url)._replace(path=f"/{name}")))
    yield found
    for process in found.started:
        if process.child.returncode is None:
            process.child.kill()
        await process.child.wait()
    await asyncio.gather(*found.readers)


@pytest.fixture
async def booted(service: Service) -> Service:
    """A service with its database and topics."""
    await asyncio.gather(service.create_database(), service.create_topics())
    return service


def said(process: Process, *words: str) -> Callable[[], list[str]]:
    """A condition: a line with all these words."""
    return lambda: [line for line in process.lines if all(word in line for word in words)]


def client(process: Process) -> httpx2.AsyncClient:
    """A client with the operator's token."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{process.port}", headers=headers, timeout=10)


async def test_it_waits_for_what_is_still_booting_and_says_for_what(service: Service) -> None:
    worker, api = await service.start("worker"), await service.start("api")
    await eventually(said(worker, "waiting", "PostgreSQL"))
    await eventually(said(api, "waiting", "PostgreSQL"))
    answer = await worker.get("/ready")
    assert answer is not None
    assert answer.status_code == 503
    assert "PostgreSQL" in answer.json()["reasons"][0]
    await service.create_database()
    await eventually(api.is_ready, 30)
    await eventually(said(worker, "waiting", "Kafka", IN), 30)
    answer = await worker.get("/ready")
    assert answer is not None
    assert any("Kafka and its topics" in reason for reason in answer.json()["reasons"])
    await service.create_topics()
    await eventually(worker.is_ready, 30)
    waits = [json.loads(line) for line in worker.lines if '"waiting"' in line]
    assert len(waits) <= 2 + max(wait["seconds"] for wait in waits) * 2, "about a line per second"


async def test_from_a_request_to_its_effect_and_a_clean_stop(booted: Service) -> None:
    worker, api = await booted.start("worker"), await booted.start("api")
    await eventually(worker.is_ready, 30)
    await eventually(api.is_ready, 30)
    async with client(api) as http:
        for n in range(1, 21):
            answer = await http.post(f"/v1/accounts/a{n % 3}", json={"n": n})
            assert answer.status_code == 201, answer.text

    async def all_there() -> bool:
        return sum((await booted.totals()).values()) == 20

    await eventually(all_there)
    metrics = await worker.get("/metrics")
    assert metrics is not None
    assert 'halfday_handled_total{consumer="probe.probe.in.v1"} 20.0' in metrics.text
    for process in (api, worker):
        code, seconds = await process.stop()
        assert code == 0, process.lines[-3:]
        assert seconds < 10
        assert said(process, "stopped")()


async def test_one_process_can_do_all(booted: Service) -> None:
    process = await booted.start("all")
    await eventually(process.is_ready, 30)
    async with client(process) as http:
        assert (await http.post("/v1/accounts/a", json={"n": 1})).status_code == 201

    async def there() -> bool:
        return (await booted.totals()).get("a") == 1

    await eventually(there)
    code, _ = await process.stop(signal.SIGINT)
    assert code == 0


async def test_a_request_in_flight_is_answered_before_the_stop(booted: Service) -> None:
    api = await booted.start("api")
    await eventually(api.is_ready, 30)
    async with client(api) as http:
        request = asyncio.create_task(http.post("/v1/slow"))

        async def in_flight() -> Any:
            return (await http.get("/live")).status_code == 200

        await eventually(in_flight)
        code, seconds = await api.stop()
        assert (await request).json() == {"done": True}
    assert code == 0
    assert seconds < 4


async def test_when_a_part_fails_the_process_fails(booted: Service) -> None:
    worker = await booted.start("worker", EDGE_FAILS="1")
    assert await asyncio.wait_for(worker.child.wait(), 30) == 1
    await eventually(said(worker, "the planner is broken"), 3, str(worker.lines[-5:]))


async def test_a_stop_while_it_still_waits(service: Service) -> None:
    worker = await service.start("worker")
    await eventually(said(worker, "waiting", "PostgreSQL"))
    code, seconds = await worker.stop()
    assert code == 0
    assert seconds < 3


async def test_starting_twice_at_once_migrates_once(booted: Service) -> None:
    roles = ("api", "api", "worker", "worker")
    processes = [await booted.start(role, HALFDAY_INSTANCE=f"probe.{role}.{n}") for n, role in enumerate(roles)]
    for process in processes:
        await eventually(process.is_ready, 40)
    assert all(process.child.returncode is None for process in processes)


@pytest.mark.parametrize(
    ("arguments", "settings", "code", "text"),
    [
        (["worker"], {}, 2, "HALFDAY_DATABASE_URL"),
        (["dance"], {}, 2, "api"),
        (["--help"], {}, 0, "HALFDAY_DATABASE_URL"),
        (["api"], {"HALFDAY_DATABASE_URL": "x", "HALFDAY_TOKENS": "not json"}, 2, "TOKENS"),
    ],
)
async def test_unusable_arguments_and_settings(
    arguments: list[str], settings: dict[str, str], code: int, text: str
) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("HALFDAY_")} | settings
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.edge", *arguments,
        env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(child.communicate(), 30)
    assert child.returncode == code, output
    assert text in output.decode()
    assert "Traceback" not in output.decode()
