"""A process is given poisoned requests and records with a person in them: nothing that it logs names the person."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx2
import pytest
from confluent_kafka import Producer

from tests.clock import run_from
from tests.integration.orders_world import CATALOG, NOW, ROLES, an_order
from tests.integration.test_orders_process import _call, _ready, free_port
from tests.stack import TestStack, eventually

pytestmark = pytest.mark.stack
NAME, PHONE, DOOR = "诸葛长乐", "13907312006", "枫林三路7号5栋"
# The database quotes a whole row, or a value, in the error that each of these leads to.
_TRAPS = """
alter table recipient add constraint no_zhuge check (name <> '诸葛长乐');
create function shout() returns trigger language plpgsql as
  $$ begin raise exception 'not so: %', new.note using detail = new.note; end $$;
create trigger shout before insert on order_note for each row execute function shout();
"""


def poisoned() -> list[tuple[str, str, Any]]:
    """Requests with the person in every place where text may be, most of them malformed as well."""
    who = {"name": NAME, "phone": PHONE}
    door = {"kind": "delivery", "address": {"text": DOOR, "lat": 28.2, "lon": 112.9}}
    good = an_order(recipient=who, fulfilment=door)
    return [
        ("POST", "/v1/orders", good),
        ("POST", "/v1/orders:batch", [good, {**good, "recipient": NAME}, an_order(recipient=who)]),
        ("POST", "/v1/orders", {**good, "community": NAME}),
        ("POST", "/v1/orders", {**good, "recipient": {**who, "phone": f"{PHONE}{NAME}"}}),
        ("POST", "/v1/orders", {**good, "recipient": {**who, "name": f"{NAME}\x00"}}),
        ("POST", f"/v1/orders/{NAME}{PHONE}:cancel", {"reason": NAME}),
        ("PUT", f"/v1/catalog/items/{PHONE}", {"name_zh": NAME, "unit": DOOR}),
        ("POST", "/v1/terminals/stall-1/sync", {"device": NAME, "market_day": "sat", "uploads": [who]}),
        ("GET", f"/v1/orders?market_day={NAME}&state={PHONE}", None),
    ]


async def test_no_log_line_names_a_person(stack: TestStack, topics: str, tmp_path: Path):
    settings = stack.settings("orders", await stack.database("orders"), topics)
    port, health, log = free_port(), free_port(), tmp_path / "log"
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
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.orders", "all", env=env, stdout=out, stderr=out
        )
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            await eventually(lambda: _ready(health), 60)
            for path, body in CATALOG.items():
                await _call(client, "PUT", f"/v1/catalog/{path}", "operator", body)
            taken = (await _call(client, "POST", "/v1/orders", "buyer", an_order()))["order_id"]
            conn = await asyncpg.connect(settings.database_url)
            await conn.execute(_TRAPS)
            await conn.close()
            asks = [*poisoned(), ("POST", f"/v1/orders/{taken}:cancel", {"note": f"{NAME}, {DOOR}, {PHONE}"})]
            answers = [await _ask(client, *ask) for ask in asks]
            assert (answers[0], answers[-1]) == (500, 500)
            await asyncio.to_thread(_send, stack, topics)
            await eventually(lambda: _parked(client), 30)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 20) == 0
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    said = log.read_text()
    assert said.count("request failed") >= 2
    assert "CheckViolationError: 23514 recipient no_zhuge" in said
    for text in (NAME, PHONE, DOOR):
        assert text not in said, [line for line in said.splitlines() if text in line][:3]


async def _ask(client: httpx2.AsyncClient, method: str, path: str, body: Any) -> int:
    answer = await client.request(method, path, json=body, headers={"Authorization": "Bearer operator-token"})
    return answer.status_code


async def _parked(client: httpx2.AsyncClient) -> bool:
    found = await _call(client, "GET", "/v1/parked", "operator")
    return len(found["parked"]) >= 1


def _send(stack: TestStack, prefix: str) -> None:
    """A record that orders can't read, with the person in each field."""
    producer = Producer(stack.client("inventory"))
    type = "market.inventory.stock-reserved.v1"
    headers = {"ce_id": str(uuid4()), "ce_type": type, "ce_subject": "s", "ce_time": NOW.isoformat(), "ce_source": NAME}
    value = json.dumps({"reservation": NAME, "pool": DOOR, "order": PHONE, "firm": NAME, "lines": [NAME]}).encode()
    found = [(name, text.encode()) for name, text in headers.items()]
    producer.produce(prefix + "inventory.stock.v1", value, b"sat@square", headers=found)
    assert producer.flush(10) == 0
