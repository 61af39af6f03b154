"""Inventory as a real process beside a real broker, killed while commands stream in: each is answered once."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from confluent_kafka import Consumer, Producer

from contracts.envelope import Envelope, Event
from contracts.events.inventory import ReserveStock
from contracts.registry import encode
from tests.integration.inventory_service import CATALOG
from tests.stack import TestStack, eventually
from tests.unit.inventory_world import NOON, POOL, reserve

pytestmark = pytest.mark.stack
HARVESTED = datetime.now(UTC).isoformat()  # the process has a real clock
LOT = {"pool": POOL, "item": "honey", "household": "h1", "quantity": 200, "harvested_at": HARVESTED}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def publish(stack: TestStack, prefix: str, events: Iterable[Event]) -> None:
    producer = Producer(stack.client("orders"))
    for event in events:
        headers: Any = list(
            Envelope(uuid4(), event.TYPE, "orders", event.subject, NOON, key=event.key).headers().items()
        )
        producer.produce(prefix + event.TOPIC, encode(event), event.key.encode(), headers=headers)
    assert producer.flush(20) == 0


class Answers:
    """The answers to reserve commands on the topic: by event id, as a log may have one twice."""

    def __init__(self, stack: TestStack, topic: str) -> None:
        self.consumer = Consumer(stack.client() | {"group.id": f"see-{uuid4()}", "auto.offset.reset": "earliest"})
        self.consumer.subscribe([topic])
        self.seen: dict[bytes, tuple[str, str]] = {}

    def read(self) -> int:
        for record in self.consumer.consume(500, 0.2):
            headers = dict(record.headers())
            name = headers["ce_type"].decode().split(".")[2]
            if name in {"stock-reserved", "stock-refused"}:
                self.seen[headers["ce_id"]] = name, headers["ce_subject"].decode()
        return len(self.seen)


async def test_a_killed_worker_answers_every_command_once(stack: TestStack, topics: str) -> None:
    env, port = await _environment(stack, topics)
    asks: list[ReserveStock] = [reserve(uuid4(), ("honey", 1)) for _ in range(600)]
    answers = Answers(stack, topics + "inventory.stock.v1")
    processes = [await _start(env)]
    try:
        publish(stack, topics, CATALOG)
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=_as("operator")) as client:
            await eventually(lambda: _stocked(client), 40)
            publish(stack, topics, asks[:300])
            await eventually(lambda: asyncio.to_thread(answers.read), 30)
            processes[-1].kill()
            await processes[-1].wait()
            publish(stack, topics, asks[300:])
            processes.append(await _start(env))
            await eventually(lambda: _all(answers, asks), 60)
            await eventually(lambda: _stocked(client), 40)  # the worker may be faster than the API
            (row,) = (await client.get("/v1/stock", params={"pool": POOL})).json()["stock"]
        assert (row["allocated"], row["available"]) == (200, 0)
        assert Counter(subject for _, subject in answers.seen.values()) == Counter(str(a.reservation) for a in asks)
        assert Counter(name for name, _ in answers.seen.values()) == {"stock-reserved": 200, "stock-refused": 400}
        processes[-1].terminate()
        assert await asyncio.wait_for(processes[-1].wait(), 60) == 0
    finally:
        answers.consumer.close()
        for process in processes:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _environment(stack: TestStack, prefix: str) -> tuple[dict[str, str], int]:
    settings, port = stack.settings("inventory", await stack.database("inventory"), prefix), free_port()
    login = {"USERNAME": settings.kafka_username, "PASSWORD": settings.kafka_password}
    env = os.environ | {f"HALFDAY_KAFKA_{name}": value for name, value in login.items() if value}
    return env | {
        "HALFDAY_DATABASE_URL": settings.database_url,
        "HALFDAY_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "HALFDAY_PREFIX": prefix,
        "HALFDAY_HTTP_PORT": str(port),
        "HALFDAY_HEALTH_PORT": str(free_port()),
        "HALFDAY_TOKENS": json.dumps({"operator": hashlib.sha256(b"operator-token").hexdigest()}),
    }, port


def _as(role: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {role}-token"}


async def _start(env: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "services.inventory", "all", env=env)


async def _stocked(client: httpx2.AsyncClient) -> bool:
    """Return True once a lot of 200 is in the pool: the process may still start, the catalogue may still arrive."""
    headers = {"Idempotency-Key": "the-lot"}
    try:
        lot = await client.post("/v1/lots", json=LOT, headers=headers)
        if lot.status_code != 201:
            return False
        return (await client.post(f"/v1/lots/{lot.json()['lot_id']}:inspect", json={"result": "pass"})).is_success
    except httpx2.TransportError:
        return False


async def _all(answers: Answers, asks: list[ReserveStock]) -> bool:
    return await asyncio.to_thread(answers.read) >= len(asks)
