"""Orders as a real process with a real broker: it publishes accepted orders and processes the answers."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from confluent_kafka import Consumer, Producer

from contracts.envelope import Envelope
from contracts.events.inventory import StockReserved
from contracts.registry import encode
from contracts.values import reservation_of
from tests.clock import run_from
from tests.integration.orders_world import CATALOG, NOW, ROLES, an_order
from tests.stack import TestStack, eventually

pytestmark = pytest.mark.stack


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def test_accepted_told_and_answered(stack: TestStack, topics: str, tmp_path: Path):
    settings = stack.settings("orders", await stack.database("orders"), topics)
    port, health = free_port(), free_port()
    tokens = {role: hashlib.sha256(f"{role}-token".encode()).hexdigest() for role in ROLES}
    env = os.environ | run_from(tmp_path, NOW)
    env |= {
        "HALFDAY_DATABASE_URL": settings.database_url,
        "HALFDAY_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "HALFDAY_PREFIX": topics,
        "HALFDAY_HTTP_PORT": str(port),
        "HALFDAY_HEALTH_PORT": str(health),
        "HALFDAY_TOKENS": json.dumps(tokens),
    }
    if settings.kafka_username:
        env |= {
            "HALFDAY_KAFKA_USERNAME": settings.kafka_username,
            "HALFDAY_KAFKA_PASSWORD": settings.kafka_password or "",
        }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.orders", "all", env=env)
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            await eventually(lambda: _ready(health), 40)
            id = await _place(client)
            placed = await asyncio.to_thread(_read, stack, topics + "orders.order.v1")
            assert (placed["ce_type"], placed["ce_subject"]) == ("market.orders.order-placed.v1", str(id))
            _answer(stack, topics, id)
            await eventually(lambda: _state(client, id, "reserved"), 30)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 60) == 0
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _ready(port: int) -> bool:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        try:
            return (await client.get("/ready")).status_code == 200
        except httpx2.TransportError:
            return False


async def _call(client: httpx2.AsyncClient, method: str, path: str, role: str, body: Any = None) -> Any:
    answer = await client.request(method, path, json=body, headers={"Authorization": f"Bearer {role}-token"})
    assert answer.is_success, answer.text
    return answer.json()


async def _place(client: httpx2.AsyncClient) -> UUID:
    for path, body in CATALOG.items():
        await _call(client, "PUT", f"/v1/catalog/{path}", "operator", body)
    return UUID((await _call(client, "POST", "/v1/orders", "buyer", an_order()))["order_id"])


async def _state(client: httpx2.AsyncClient, id: UUID, state: str) -> bool:
    return bool((await _call(client, "GET", f"/v1/orders/{id}", "buyer"))["state"] == state)


def _read(stack: TestStack, topic: str) -> dict[str, str]:
    consumer = Consumer(stack.client() | {"group.id": f"see-{uuid4()}", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    record = consumer.poll(20)
    consumer.close()
    assert record is not None
    return {name: value.decode() for name, value in record.headers()}


def _answer(stack: TestStack, prefix: str, id: UUID) -> None:
    event = StockReserved(
        reservation=reservation_of(id, "sat@square", 1), pool="sat@square", order=id, firm=True, lines=[]
    )
    envelope = Envelope(uuid4(), event.TYPE, "inventory", event.subject, NOW, key=event.key)
    producer = Producer(stack.client("inventory"))
    headers = [(name, value.encode()) for name, value in envelope.headers().items()]
    producer.produce(prefix + event.TOPIC, encode(event), event.key.encode(), headers=headers)
    assert producer.flush(10) == 0
