"""A process killed half-way through settling a group-buy: what was done stays done, the rest is done by the next."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx2
import pytest
from confluent_kafka import Consumer, Producer

from contracts.envelope import Envelope, Event
from contracts.events.inventory import ReservationReleased, StockReserved
from contracts.events.orders import GoodsLine
from contracts.registry import encode
from contracts.values import reservation_of
from services.orders.repository.campaign import PART
from tests.clock import freeze_at, run_from
from tests.integration.campaign_world import POOL, PRICES, a_campaign, a_join
from tests.integration.orders_world import CATALOG, NOW, ROLES
from tests.stack import TestStack, eventually

pytestmark = pytest.mark.stack
JOINS, SPEED = 230, 600


class Killed:
    """One orders process after another on one database, the first with a fault in it."""

    def __init__(self, stack: TestStack, prefix: str, url: str, folder: Path) -> None:
        self.stack, self.prefix, self.folder = stack, prefix, folder
        self.port, self.health = _free_port(), _free_port()
        settings = stack.settings("orders", url, prefix)
        tokens = {role: hashlib.sha256(f"{role}-token".encode()).hexdigest() for role in ROLES}
        self.env = os.environ | freeze_at(folder, NOW)
        login = {"USERNAME": settings.kafka_username, "PASSWORD": settings.kafka_password}
        self.env |= {f"HALFDAY_KAFKA_{name}": value for name, value in login.items() if value}
        self.env |= {
            "HALFDAY_DATABASE_URL": settings.database_url,
            "HALFDAY_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
            "HALFDAY_PREFIX": prefix,
            "HALFDAY_HTTP_PORT": str(self.port),
            "HALFDAY_HEALTH_PORT": str(self.health),
            "HALFDAY_TOKENS": json.dumps(tokens),
        }
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, fault: str = "") -> None:
        env = self.env | {"FAULT": fault}
        self.process = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.orders", "all", env=env)
        await eventually(self._ready, 40)

    async def _ready(self) -> bool:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{self.health}") as client:
            try:
                return (await client.get("/ready")).status_code == 200
            except httpx2.TransportError:
                return False

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=30) as client:
            headers = {"Authorization": "Bearer operator-token"}
            answer = await client.request(method, path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json()

    async def is_(self, campaign: UUID, **expected: Any) -> bool:
        shown = await self.call("GET", f"/v1/campaigns/{campaign}")
        return bool(expected.items() <= shown.items())

    def answer(self, event: Event) -> None:
        """As inventory would."""
        envelope = Envelope(uuid4(), event.TYPE, "inventory", event.subject, NOW, key=event.key)
        headers = [(name, value.encode()) for name, value in envelope.headers().items()]
        producer = Producer(self.stack.client("inventory"))
        producer.produce(self.prefix + event.TOPIC, encode(event), event.key.encode(), headers=headers)
        assert producer.flush(10) == 0

    def read(self, topic: str, count: int) -> list[tuple[str, Any]]:
        """The types and contents of the topic's records, each event once, once there are so many."""
        consumer = Consumer(self.stack.client() | {"group.id": f"see-{uuid4()}", "auto.offset.reset": "earliest"})
        consumer.subscribe([self.prefix + topic])
        found: dict[bytes, tuple[str, Any]] = {}
        while len(found) < count:
            record = consumer.poll(20)
            assert record is not None, f"{len(found)} of {count} records on {topic}"
            headers = dict(record.headers())
            found[headers["ce_id"]] = (headers["ce_type"].decode(), json.loads(record.value()))
        consumer.close()
        return list(found.values())

    async def stop(self) -> None:
        if self.process:
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def _open(house: Killed) -> UUID:
    for path, body in (CATALOG | PRICES).items():
        await house.call("PUT", f"/v1/catalog/{path}", body)
    closes_at = NOW + timedelta(hours=1)
    goods = [{"item": "honey", "quantity": JOINS}]
    opened = await house.call("POST", "/v1/campaigns", a_campaign(closes_at=closes_at.isoformat(), goods=goods))
    campaign = UUID(opened["campaign_id"])
    entries = [{"entry": n, **a_join(n, 1, payment="prepaid")} for n in range(1, JOINS + 1)]
    taken = await house.call("POST", f"/v1/campaigns/{campaign}/relay", {"chat": "qifeng", "entries": entries})
    assert {answer["status"] for answer in taken["answers"]} == {201}
    run_from(house.folder, closes_at - timedelta(minutes=1), SPEED)
    return campaign


async def _orders(url: str) -> int:
    conn = await asyncpg.connect(url)
    try:
        return int(await conn.fetchval("select count(*) from orders"))
    finally:
        await conn.close()


async def test_a_kill_half_way_through_the_orders_of_a_campaign(stack: TestStack, topics: str, tmp_path: Path):
    url = await stack.database("orders")
    house = Killed(stack, topics, url, tmp_path)
    try:
        await house.start("campaign.half_way:kill@2")
        campaign = await _open(house)
        await eventually(lambda: house.is_(campaign, state="cut"), 30)
        claim: dict[str, Any] = {"reservation": reservation_of(campaign, POOL, 1), "pool": POOL, "order": campaign}
        granted = [GoodsLine(line=1, item="honey", quantity=JOINS - 10)]
        house.answer(StockReserved(**claim, firm=True, lines=granted))
        assert house.process
        assert await asyncio.wait_for(house.process.wait(), 30) == -9
        assert await _orders(url) == PART
        await house.start()
        await eventually(lambda: house.is_(campaign, state="formed", settled=False), 20)
        placed = await asyncio.to_thread(house.read, "orders.order.v1", JOINS - 10)
        house.answer(ReservationReleased(**claim, quantity=0))
        await eventually(lambda: house.is_(campaign, settled=True), 30)
    finally:
        await house.stop()
    told = await asyncio.to_thread(house.read, "orders.campaign.v1", 1 + JOINS + 2 + 10)
    joins = [data["join"] for kind, data in told if kind.endswith("join-accepted.v1")]
    back = [data["join"] for kind, data in told if kind.endswith("join-refunded.v1")]
    assert sorted([*(data["join"] for _, data in placed), *back]) == sorted(joins)
    assert back == joins[-10:]
    commands = await asyncio.to_thread(house.read, "inventory.command.v1", 1 + JOINS - 10 + 1)
    assert [kind.split(".")[2] for kind, _ in commands] == ["reserve-stock"] * (JOINS - 9) + ["release-stock"]
