"""The orders service on a real database: its HTTP app in-process, and records handed straight to its processors."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import orjson

from contracts.envelope import Envelope, Event
from contracts.registry import decode, encode
from services.kit.clock import ManualClock
from services.kit.context import Context
from services.kit.database import connect_pool
from services.kit.process.api import create_api
from services.kit.process.service import Service
from services.kit.transaction.message import Record
from services.kit.transaction.ports import Ports
from services.orders.api.routes import ROUTERS
from services.orders.app import SERVICE
from tests.integration.documented import check_documented
from tests.stack import TestStack

NOW = datetime(2024, 11, 2, 1, 0, tzinfo=UTC)  # 09:00 in Changsha
ROLES = ("operator", "buyer", "leader", "terminal", "courier")


def at(hours: float) -> str:
    """An instant so many hours after the world began, as text."""
    return (NOW + timedelta(hours=hours)).isoformat()


CATALOG: dict[str, dict[str, Any]] = {
    "stations/guandu": {"name_zh": "官渡镇", "lat": 28.33, "lon": 113.93},
    "sites/square": {"name_zh": "丝茅冲", "lat": 28.237, "lon": 112.998, "station": "guandu"},
    "communities/qifeng": {"name_zh": "栖凤社区", "lat": 28.228, "lon": 112.977},
    "communities/xincheng": {"name_zh": "欣城社区", "lat": 28.262, "lon": 112.985},
    "points/gate": {"community": "qifeng", "name_zh": "东门", "closes_at": "20:00"},
    "terminals/stall-1": {"site": "square"},
    "items/honey": {"name_zh": "同幸蜂蜜", "unit": "piece", "unit_g": 500},
    "items/tofu": {"name_zh": "白沙油豆腐", "unit": "gram", "unit_g": 1000},
    "prices/honey-app": {"item": "honey", "channel": "app", "price_fen": 600, "effective_from": at(-24)},
    "prices/tofu-app": {"item": "tofu", "channel": "app", "price_fen": 999, "effective_from": at(-24)},
    "prices/honey-stall": {"item": "honey", "channel": "stall", "price_fen": 550, "effective_from": at(-24)},
    "market-days/sat": {
        "date": "2024-11-02",
        "opens_at": at(-1),
        "closes_at": at(8),
        "sites": [{"site": "square", "communities": ["qifeng"]}],
        "waves": [
            {
                "id": "sat-1",
                "station": "guandu",
                "slot_from": at(4),
                "slot_until": at(6),
                "cutoff": at(3),
                "capacity": 50,
            }
        ],
    },
}


def an_order(**more: Any) -> dict[str, Any]:
    """The body of a good order: two jars of honey to a door."""
    address = {"text": "2栋1单元", "lat": 28.228, "lon": 112.977}
    return {
        "channel": "app",
        "market_day": "sat",
        "community": "qifeng",
        "recipient": {"name": "李姐", "phone": "13900000000"},
        "lines": [{"item": "honey", "quantity": 2}],
        "fulfilment": {"kind": "delivery", "address": address},
        "payment": "on_account",
        **more,
    }


@dataclass
class Orders:
    """The service under test. `post`, `get`, `put` answer like a client; `hear` is a record from another service;
    `service` reads it, and fires its deadlines.
    """

    context: Context
    clock: ManualClock
    client: httpx2.AsyncClient
    offsets: dict[str, int] = field(default_factory=dict)
    service: Service = SERVICE

    async def call(self, method: str, path: str, role: str = "operator", **more: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {role}-token", **more.pop("headers", {})}
        answer = await self.client.request(method, path, headers=headers, **more)
        check_documented(ROUTERS, answer)
        return answer

    async def post(self, path: str, body: Any = None, role: str = "buyer", **more: Any) -> httpx2.Response:
        return await self.call("POST", path, role, json=body, **more)

    async def get(self, path: str, role: str = "buyer", **more: Any) -> httpx2.Response:
        return await self.call("GET", path, role, **more)

    async def put(self, path: str, body: Any) -> httpx2.Response:
        return await self.call("PUT", f"/v1/catalog/{path}", json=body)

    async def place(self, **more: Any) -> UUID:
        """A taken order's id."""
        answer = await self.post("/v1/orders", an_order(**more))
        assert answer.status_code == 201, answer.text
        return UUID(answer.json()["order_id"])

    async def state(self, order: UUID) -> str:
        answer = await self.get(f"/v1/orders/{order}")
        return str(answer.json()["state"])

    async def hear(self, *events: Event, id: UUID | None = None) -> None:
        """Records of one topic, handled as one batch."""
        topic = events[0].TOPIC
        (processor,) = (p for p in self.service.processors(self.context) if p.source.subscription.topic == topic)
        await processor.handle([self.record(event, id or uuid4()) for event in events])

    def record(self, event: Event, id: UUID) -> Record:
        """Return the event as a record of the log."""
        offset = self.offsets[event.TOPIC] = self.offsets.get(event.TOPIC, -1) + 1
        source = event.TOPIC.partition(".")[0]
        envelope = Envelope(id, event.TYPE, source, event.subject, self.clock.now(), key=event.key)
        return Record(event.TOPIC, 0, offset, event.key.encode(), encode(event), envelope.headers())

    async def sweep(self) -> None:
        """Fires what is due."""
        sweeper = self.service.sweeper(self.context)
        assert sweeper
        await sweeper.sweep()

    async def published(self, topic: str | None = None, subject: Any = None) -> list[Event]:
        """Return the events in the outbox, in order, of a topic and subject if given."""
        rows = await self.context.pool.fetch(
            "select headers, payload from outbox where ($1::text is null or topic = $1) "
            "and ($2::text is null or subject = $2) order by id",
            topic,
            None if subject is None else str(subject),
        )
        return [decode(orjson.loads(row["headers"])["ce_type"], row["payload"]) for row in rows]

    async def names(self, topic: str | None = None, subject: Any = None) -> list[str]:
        """The class names of `published`."""
        return [type(event).__name__ for event in await self.published(topic, subject)]

    async def fill(self) -> None:
        """Put the whole catalogue, and remove its events from the outbox."""
        for path, body in CATALOG.items():
            answer = await self.put(path, body)
            assert answer.status_code == 200, answer.text
        await self.context.pool.execute("delete from outbox")


@asynccontextmanager
async def open_orders(stack: TestStack, **settings: Any) -> AsyncIterator[Orders]:
    """The service on a fresh database with a full catalogue, its clock at 09:00 on the market day."""
    url = await stack.database("orders")
    tokens = {role: hashlib.sha256(f"{role}-token".encode()).hexdigest() for role in ROLES}
    chosen = stack.settings("orders", url, "", tokens=tokens, **settings)
    pool = await connect_pool(chosen)
    clock = ManualClock(NOW)
    context = Context(chosen, Ports(clock, SERVICE.store), pool, lambda: None, SERVICE.name)
    app = create_api(SERVICE, context)
    transport = httpx2.ASGITransport(app=app)
    try:
        async with httpx2.AsyncClient(transport=transport, base_url="http://orders") as client:
            world = Orders(context, clock, client)
            await world.fill()
            yield world
    finally:
        pool.terminate()
