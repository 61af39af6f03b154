"""Dispatch as it really runs: a process between a real Kafka and a real PostgreSQL."""

import asyncio
import hashlib
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from confluent_kafka import Consumer, Producer

from contracts.envelope import Envelope, Event
from contracts.events.catalog import WaveTerms
from tests.integration.dispatch_world import CATALOGUE, Order, market_day, upload
from tests.stack import TestStack

pytestmark = pytest.mark.stack


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def publish(stack: TestStack, prefix: str, *events: Event) -> None:
    producer = Producer(stack.client("orders"))
    for event in events:
        envelope = Envelope(uuid4(), event.TYPE, "orders", event.subject, datetime.now(UTC), key=event.key)
        value, headers = event.model_dump_json().encode(), dict(envelope.headers())
        producer.produce(prefix + event.TOPIC, value, event.key, headers=headers)
    assert producer.flush(20) == 0


def jobs_told(consumer: Consumer, seen: dict[bytes, str]) -> set[str]:
    """The names of the job events so far; adds what has arrived to `seen`, by event id: a log may hold one twice."""
    for message in consumer.consume(100, 0.2):
        assert message.error() is None
        headers = dict(message.headers())
        seen[headers["ce_id"]] = headers["ce_type"].decode().split(".")[2]
    return set(seen.values())


async def test_jobs_go_through_kafka_also_a_late_one_and_survive_a_kill(
    stack: TestStack,
    topics: str,
    database: Callable[[str], Awaitable[str]],
    eventually: Callable[..., Awaitable[object]],
    tmp_path: Path,
):
    http, health = free_port(), free_port()
    settings = stack.settings("dispatch", await database("dispatch"), topics)
    tokens = {role: hashlib.sha256(role.encode()).hexdigest() for role in ("operator", "courier")}
    own = {"HTTP_PORT": str(http), "HEALTH_PORT": str(health), "TOKENS": json.dumps(tokens), "QUOTE_KEY": "k" * 32}
    told = settings.model_dump(
        include={"database_url", "kafka_bootstrap", "kafka_username", "kafka_password", "prefix"}, exclude_none=True
    )
    env = os.environ | {f"HALFDAY_{k.upper()}": str(v) for k, v in (told | own).items()}
    log = (tmp_path / "log").open("wb")
    command = (sys.executable, "-m", "services.dispatch", "all")
    process = await asyncio.create_subprocess_exec(*command, env=env, stdout=log, stderr=log)
    observer = Consumer(stack.client("observer") | {"group.id": f"{topics}observer.x", "auto.offset.reset": "earliest"})
    observer.subscribe([f"{topics}dispatch.job.v1"])
    client = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{http}", trust_env=False)
    seen: dict[bytes, str] = {}

    async def ask(role: str, method: str, path: str, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {role}"}
        try:
            answer = await client.request(method, f"/v1{path}", headers=headers, **more)
        except httpx2.TransportError:
            return None
        return answer.json() if answer.status_code == 200 else None

    async def heard(*names: str) -> bool:
        return set(names) <= await asyncio.to_thread(jobs_told, observer, seen)

    try:
        slot = datetime.now(UTC) + timedelta(hours=4)
        until = slot + timedelta(hours=2)
        terms = WaveTerms(
            id="noon", station="guandu", slot_from=slot, slot_until=until, cutoff=slot - timedelta(hours=1), capacity=9
        )
        order, tombstone, late = Order(), Order(n=1), Order(n=2)
        publish(stack, topics, order.schedule(), tombstone.cancel, order.recipient, market_day(terms), *CATALOGUE)
        await eventually(lambda: heard("job-planned", "job-cancelled"), 60)
        await eventually(lambda: ask("operator", "POST", "/waves/noon:cut"), 60)
        await eventually(lambda: ask("operator", "GET", "/waves/noon/plan"), 30)
        publish(stack, topics, late.schedule(), late.recipient)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        process = await asyncio.create_subprocess_exec(*command, env=env, stdout=log, stderr=log)

        async def fitted_in() -> bool:
            return ((await ask("operator", "GET", f"/jobs/{late.job}")) or {}).get("state") == "planned"

        await eventually(fitted_in, 60)
        await eventually(lambda: ask("operator", "POST", "/waves/noon:release"), 30)
        courier = (await ask("operator", "GET", f"/jobs/{order.job}"))["courier"]
        uploads = [upload(1, "load", order), upload(2, "deliver", order, code="4711")]
        await ask("courier", "POST", f"/couriers/{courier}/sync", json={"device": "d", "uploads": uploads})
        await eventually(lambda: heard("job-assigned", "job-loaded", "job-delivered"), 30)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 60) == 0
        assert sorted(seen.values()) == [
            "job-assigned",
            "job-assigned",
            "job-cancelled",
            "job-delivered",
            "job-loaded",
            "job-planned",
            "job-planned",
        ], (tmp_path / "log").read_text()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        observer.close()
        await client.aclose()
        log.close()
