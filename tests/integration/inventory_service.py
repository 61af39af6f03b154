"""The inventory service on a real database: its HTTP app in-process, and records handed straight to its processors."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import orjson

from contracts.envelope import Envelope, Event
from contracts.events.catalog import HouseholdPut, ItemPut, MarketDayPut, SiteDay, TerminalPut
from contracts.registry import decode, encode
from contracts.values import Unit
from services.inventory.app import SERVICE
from services.inventory.domain.stock import Move, Stock, fold
from services.inventory.repository.rows import move_of
from services.kit.clock import ManualClock
from services.kit.context import Context
from services.kit.database import connect_pool
from services.kit.process.api import create_api
from services.kit.transaction.message import Record
from services.kit.transaction.ports import Ports
from tests.stack import TestStack
from tests.unit.inventory_world import NOON, POOL

ROLES = ("operator", "buyer", "leader", "terminal", "courier")
DAY, SITE = POOL.split("@")
CATALOG: tuple[Event, ...] = (
    ItemPut(id="honey", name_zh="同幸蜂蜜", unit=Unit.PIECE, unit_g=500),
    ItemPut(id="oil-tofu", name_zh="白沙油豆腐", unit=Unit.GRAM, unit_g=1000),
    HouseholdPut(id="h1", village="qifeng"),
    TerminalPut(id="t1", site=SITE),
    TerminalPut(id="t2", site=SITE),
    MarketDayPut(
        id=DAY,
        date=NOON.date(),
        opens_at=NOON - timedelta(hours=4),
        closes_at=NOON + timedelta(hours=8),
        sites=[SiteDay(site=SITE, communities=["qifeng"])],
    ),
)


@dataclass
class Inventory:
    """The service under test. `post` and `get` answer like a client; `hear` is a batch of records of one topic."""

    context: Context
    clock: ManualClock
    client: httpx2.AsyncClient
    offsets: dict[str, int] = field(default_factory=dict)

    async def call(self, method: str, path: str, role: str = "operator", **more: Any) -> httpx2.Response:
        """One request in a role."""
        headers = {"Authorization": f"Bearer {role}-token", **more.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> httpx2.Response:
        """A POST, by default of the operator."""
        return await self.call("POST", path, json=body, **more)

    async def get(self, path: str, **more: Any) -> Any:
        """The content of a GET."""
        answer = await self.call("GET", path, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def hear(self, *events: Event, ids: list[UUID] | None = None) -> None:
        """Records of one topic, processed as one batch."""
        (processor,) = (p for p in SERVICE.processors(self.context) if p.source.subscription.topic == events[0].TOPIC)
        ids = ids or [uuid4() for _ in events]
        await processor.handle([self.record(event, id) for event, id in zip(events, ids, strict=True)])

    def record(self, event: Event, id: UUID) -> Record:
        """The event as a record of the log."""
        offset = self.offsets[event.TOPIC] = self.offsets.get(event.TOPIC, -1) + 1
        source = event.TOPIC.partition(".")[0]
        envelope = Envelope(id, event.TYPE, source, event.subject, self.clock.now(), key=event.key)
        return Record(event.TOPIC, 0, offset, event.key.encode(), encode(event), envelope.headers())

    async def wait(self, minutes: float) -> None:
        """Business time passes, and what is due fires."""
        self.clock.advance(timedelta(minutes=minutes))
        sweeper = SERVICE.sweeper(self.context)
        assert sweeper
        await sweeper.sweep()

    async def published(self, kind: type[Event] | None = None) -> list[Any]:
        """The events in the outbox, in order, of one type where given."""
        rows = await self.context.pool.fetch("select headers, payload from outbox order by id")
        events = [decode(orjson.loads(row["headers"])["ce_type"], row["payload"]) for row in rows]
        return [event for event in events if kind is None or isinstance(event, kind)]

    async def forget(self) -> None:
        """As if the relay had published everything."""
        await self.context.pool.execute("delete from outbox")

    async def figures(self, item: str) -> tuple[int, ...]:
        """on hand, held, allocated, allotted, unconfirmed, shortfall, available"""
        (row,) = (await self.get("/v1/stock", params={"pool": POOL, "item": item}))["stock"]
        names = ("on_hand", "held", "allocated", "allotted", "unconfirmed", "shortfall", "available")
        return tuple(row[name] for name in names)

    async def moves(self) -> list[Move]:
        """Every movement, oldest first."""
        return [move_of(row) for row in await self.context.pool.fetch("select * from movement order by n")]

    async def adds_up(self) -> None:
        """Stock and lots are the fold of the movements."""
        rows = await self.context.pool.fetch("select * from stock where on_hand <> 0 or available <> 0")
        columns = ("pool", "item", "on_hand", "held", "allocated", "allotted", "unconfirmed")
        moves = await self.moves()
        folded = fold(moves)
        for row in rows:
            assert folded[row["pool"], row["item"]] == Stock(**{name: row[name] for name in columns})
        lots = await self.context.pool.fetch("select id, item, pool, on_hand from lot")
        for lot in lots:
            of_lot = fold(move for move in moves if move.lot == lot["id"])
            found = of_lot.get((lot["pool"], lot["item"]))
            assert (found.on_hand if found else 0) == lot["on_hand"]

    async def stocked(self, item: str, quantity: int, **more: Any) -> str:
        """A released lot's id."""
        body = {"pool": POOL, "item": item, "household": "h1", "quantity": quantity, "harvested_at": NOON.isoformat()}
        answer = await self.post("/v1/lots", body | more)
        assert answer.status_code == 201, answer.text
        lot = str(answer.json()["lot_id"])
        answer = await self.post(f"/v1/lots/{lot}:inspect", {"result": "pass"})
        assert answer.status_code == 200, answer.text
        return lot

    async def lend(self, terminal: str, item: str, quantity: int, minutes: float = 60, **more: Any) -> httpx2.Response:
        """A grant on a lease of so many minutes."""
        until = (self.clock.now() + timedelta(minutes=minutes)).isoformat()
        body = {"terminal": terminal, "pool": POOL, "item": item, "quantity": quantity, "lease_until": until}
        return await self.post("/v1/allotments", body | more)


@asynccontextmanager
async def open_inventory(stack: TestStack) -> AsyncIterator[Inventory]:
    """The service on a fresh database with a catalogue, its clock at noon of the market day."""
    url = await stack.database("inventory")
    tokens = {role: hashlib.sha256(f"{role}-token".encode()).hexdigest() for role in ROLES}
    settings = stack.settings("inventory", url, "", tokens=tokens)
    pool = await connect_pool(settings)
    clock = ManualClock(NOON)
    context = Context(settings, Ports(clock, SERVICE.store), pool, lambda: None, SERVICE.name)
    app = create_api(SERVICE, context)
    try:
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://inventory") as client:
            world = Inventory(context, clock, client)
            await world.hear(*CATALOG)
            yield world
    finally:
        pool.terminate()
