"""The three services as real processes on the run's Kafka and PostgreSQL, with a good morning's catalogue."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from contracts.topics import SERVICES
from tests.clock import run_from
from tests.integration.orders_world import CATALOG, NOW, ROLES, an_order, at
from tests.stack import TestStack, eventually


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


SUPPLIERS: dict[str, dict[str, Any]] = {
    "villages/hill": {"name_zh": "山村", "lat": 28.3, "lon": 113.9},
    "households/h1": {"village": "hill"},
}


@dataclass
class Three:
    """`call` asks a service's API; `metrics` is the page of a service's process, on its operations port."""

    clients: dict[str, httpx2.AsyncClient]
    operations: dict[str, httpx2.AsyncClient]

    async def call(self, service: str, method: str, path: str, role: str = "operator", **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {role}-token", **more.pop("headers", {})}
        answer = await self.clients[service].request(method, path, headers=headers, **more)
        assert answer.is_success, answer.text
        return answer.json()

    async def metrics(self, service: str) -> str:
        return (await self.operations[service].get("/metrics")).text

    async def is_ready(self, service: str) -> bool:
        try:
            return (await self.operations[service].get("/ready")).status_code == 200
        except httpx2.TransportError:
            return False

    async def supply(self) -> None:
        """Puts the catalogue, and twenty jars of honey into the pool as soon as inventory knows it."""
        for path, body in (CATALOG | SUPPLIERS).items():
            await self.call("orders", "PUT", f"/v1/catalog/{path}", json=body)
        lot = {"pool": "sat@square", "item": "honey", "household": "h1", "quantity": 20, "harvested_at": at(-5)}

        async def taken_in() -> str | None:
            headers = {"Authorization": "Bearer operator-token"}
            answer = await self.clients["inventory"].post("/v1/lots", json=lot, headers=headers)
            return str(answer.json()["lot_id"]) if answer.status_code == 201 else None

        id = await eventually(taken_in, 30)
        await self.call("inventory", "POST", f"/v1/lots/{id}:inspect", json={"result": "pass"})

    async def order(self, **headers: str) -> str:
        """A taken order's id."""
        taken = await self.call("orders", "POST", "/v1/orders", "buyer", json=an_order(), headers=headers)
        return str(taken["order_id"])

    async def scheduled(self, order: str) -> None:
        """Returns when dispatch has promised the order's delivery and orders knows it."""

        async def state() -> bool:
            return bool((await self.call("orders", "GET", f"/v1/orders/{order}"))["state"] == "scheduled")

        await eventually(state, 40)


@asynccontextmanager
async def three_services(stack: TestStack, prefix: str, logs: Path, **more: str) -> AsyncIterator[Three]:
    """All three, each one process with all roles, ready; `more` is added to their environment."""
    tokens = json.dumps({role: hashlib.sha256(f"{role}-token".encode()).hexdigest() for role in ROLES})
    shared = {"HALFDAY_TOKENS": tokens, "HALFDAY_QUOTE_KEY": "k" * 32, **run_from(logs, NOW), **more}
    async with AsyncExitStack() as ending:
        three = Three({}, {})
        for service in SERVICES:
            ports = free_port(), free_port()
            await ending.enter_async_context(_process(stack, service, prefix, logs, ports, shared))
            for clients, port in zip((three.clients, three.operations), ports, strict=True):
                client = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False)
                clients[service] = await ending.enter_async_context(client)
        for service in SERVICES:
            await eventually(lambda service=service: three.is_ready(service), 60)  # type: ignore[misc]
        yield three


@asynccontextmanager
async def _process(
    stack: TestStack, service: str, prefix: str, logs: Path, ports: tuple[int, int], more: Mapping[str, str]
) -> AsyncIterator[None]:
    settings = stack.settings(service, await stack.database(service), prefix)
    told = settings.model_dump(
        include={"database_url", "kafka_bootstrap", "kafka_username", "kafka_password", "prefix"}, exclude_none=True
    ) | {"http_port": ports[0], "health_port": ports[1], "instance": f"{prefix}{service}.worker.0"}
    env = os.environ | {f"HALFDAY_{name.upper()}": str(value) for name, value in told.items()} | dict(more)
    with (logs / f"{service}.log").open("wb") as log:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"services.{service}", "all", env=env, stdout=log, stderr=log
        )
        try:
            yield
            child.terminate()
            assert await asyncio.wait_for(child.wait(), 60) == 0, (logs / f"{service}.log").read_text()[-2000:]
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
