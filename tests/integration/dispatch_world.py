"""Dispatch on a real database, its parts driven in this process: messages in, time by hand, facts out."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from contracts.envelope import Envelope, Event
from contracts.events.catalog import CourierPut, ItemPut, MarketDayPut, SiteDay, SitePut, StationPut, WaveTerms
from contracts.events.dispatch import CancelDelivery, Quote, ScheduleDelivery
from contracts.events.orders import GoodsLine, RecipientPut
from contracts.registry import decode
from contracts.values import job_of
from services.dispatch.app import SERVICE
from services.dispatch.commands.planning import answer_next_wave, plan_next_wave
from services.dispatch.commands.wave import finish_ended_waves
from services.dispatch.settings import settings as of_dispatch
from services.kit.clock import ManualClock
from services.kit.context import Context
from services.kit.process.api import create_api
from services.kit.settings import Settings
from services.kit.transaction.message import ERASED, Record
from services.kit.transaction.ports import Ports

MORNING = datetime(2026, 10, 24, 0, tzinfo=UTC)
ROLES = ("operator", "terminal", "courier", "leader", "buyer")
TOKENS = {role: hashlib.sha256(role.encode()).hexdigest() for role in ROLES}
DOORS = [(28.237, 112.998), (28.262, 112.985), (28.241, 112.981), (28.25, 112.99)]


def hours(n: float) -> datetime:
    return MORNING + timedelta(hours=n)


def wave(id: str, slot: float, cutoff: float, capacity: int = 500) -> WaveTerms:
    times = {"slot_from": hours(slot), "slot_until": hours(slot + 2.5), "cutoff": hours(cutoff)}
    return WaveTerms(id=id, station="guandu", capacity=capacity, **times)


def market_day(*waves: WaveTerms) -> MarketDayPut:
    return MarketDayPut(
        id="sat",
        date=date(2026, 10, 24),
        opens_at=hours(0),
        closes_at=hours(5),
        sites=[SiteDay(site="simaochong", communities=["simaochong", "xincheng"])],
        waves=list(waves) or [wave("noon", 4, 2), wave("evening", 7, 6)],
    )


PLACES: tuple[Event, ...] = (
    SitePut(id="simaochong", name_zh="丝茅冲供销市集", lat=28.237, lon=112.998, station="guandu"),
    StationPut(id="guandu", name_zh="官渡半日达城区站", lat=28.226, lon=112.962),
)
GOODS: tuple[Event, ...] = (
    ItemPut(id="honey", name_zh="同幸蜂蜜", unit="piece", unit_g=700),
    ItemPut(id="fruit", name_zh="大围山水果", unit="gram", unit_g=1000, unit_ml=1500, cold=True),
)
COURIERS: tuple[Event, ...] = tuple(
    CourierPut(id=id, station="guandu", capacity_g=160_000, cold_ml=90_000) for id in ("van-1", "van-2")
)
CATALOGUE = (*PLACES, *GOODS, *COURIERS)


@dataclass(frozen=True)
class Order:
    """An order as the other services describe it to dispatch."""

    id: UUID = field(default_factory=uuid4)
    reservation: UUID = field(default_factory=uuid4)
    n: int = 0
    grams: int = 2000
    code: str = "4711"

    @property
    def job(self) -> UUID:
        return job_of(self.id, self.reservation)

    @property
    def recipient(self) -> RecipientPut:
        lat, lon = DOORS[self.n % len(DOORS)]
        person = {"name": "李桂兰", "phone": "13800001234", "address": "2栋1单元301"}
        return RecipientPut(order=self.id, **person, lat=lat + self.n / 1e4, lon=lon, code=self.code)

    @property
    def cancel(self) -> CancelDelivery:
        return CancelDelivery(order=self.id, pool="sat@simaochong", reservation=self.reservation)

    def schedule(self, quote: Quote | None = None) -> ScheduleDelivery:
        lines = [GoodsLine(line=1, item="fruit", quantity=self.grams), GoodsLine(line=2, item="honey", quantity=1)]
        about = {"order": self.id, "pool": "sat@simaochong", "reservation": self.reservation}
        return ScheduleDelivery(**about, market_day="sat", community="simaochong", lines=lines, quote=quote)


class World:
    """Dispatch with a database of its own and a manual clock."""

    def __init__(self, context: Context, clock: ManualClock) -> None:
        self.context, self.pool, self.clock = context, context.pool, clock
        self.statements: list[int] = []
        self._offsets = count()
        self._processors = {p.source.subscription.topic: p for p in SERVICE.processors(context)}
        app = create_api(SERVICE, context)
        self.http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://dispatch")

    def record(self, event: Event, id: UUID | None = None) -> Record:
        """The event as a record of its topic."""
        head = {"id": id or uuid4(), "type": event.TYPE, "source": "orders", "subject": event.subject}
        headers = Envelope(**head, time=self.clock.now(), key=event.key).headers()
        value = event.model_dump_json().encode()
        return Record(event.TOPIC, 0, 0, event.key.encode(), value, headers)

    def tombstone(self, order: UUID) -> Record:
        """The record that erases a recipient."""
        head = {"id": uuid4(), "type": ERASED, "source": "orders", "subject": str(order)}
        headers = Envelope(**head, time=self.clock.now(), key=str(order)).headers()
        return Record("orders.recipient.v1", 0, 0, str(order).encode(), None, headers)

    async def feed(self, *events: Event | Record) -> None:
        """Hands events in, in order; neighbours of one topic as one batch."""
        batch: list[Record] = []
        for event in events:
            made = event if isinstance(event, Record) else self.record(event)
            record = made._replace(offset=next(self._offsets))
            if batch and batch[-1].topic != record.topic:
                await self._processors[batch[0].topic].handle(batch)
                batch = []
            batch.append(record)
        if batch:
            await self._processors[batch[0].topic].handle(batch)
        assert await self.pool.fetch("select error from parked where consumer <> 'dispatch.uploads'") == []

    async def published(self, *kinds: type[Event]) -> list[Any]:
        """Return the events published so far, of these kinds or all, in order."""
        rows = await self.pool.fetch("select headers->>'ce_type' as type, payload from outbox order by id")
        events = [decode(row["type"], row["payload"]) for row in rows]
        return [event for event in events if not kinds or isinstance(event, kinds)]

    async def names(self) -> list[str]:
        """Return the type names of the events published so far."""
        return [type(event).__name__ for event in await self.published()]

    async def run_planning(self) -> None:
        """Runs the steps of the planning loop until none has work."""
        while any([await step(self.context) for step in (plan_next_wave, answer_next_wave, finish_ended_waves)]):
            pass

    async def sweep(self) -> None:
        """Fires what is due."""
        sweeper = SERVICE.sweeper(self.context)
        assert sweeper
        await sweeper.sweep()

    async def call(self, role: str, method: str, path: str, status: int = 200, **more: Any) -> Any:
        """The JSON of an answer, which has this status."""
        headers = {"Authorization": f"Bearer {role}", **more.pop("headers", {})}
        answer = await self.http.request(method, f"/v1{path}", headers=headers, **more)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def planned(self, orders: Sequence[Order], *waves: WaveTerms) -> None:
        """The catalogue, the orders with their recipients, the noon wave cut and planned."""
        await self.feed(*CATALOGUE, market_day(*waves), *(o.recipient for o in orders), *(o.schedule() for o in orders))
        await self.call("operator", "POST", "/waves/noon:cut")
        await self.run_planning()

    async def tables_with(self, text: str) -> set[str]:
        """Return the tables that contain a text."""
        names = [
            row["name"]
            for row in await self.pool.fetch(
                "select tablename as name from pg_tables where schemaname = 'public' and tablename !~ '^outbox_sent'"
            )
        ]
        found = set()
        for name in names:
            if name == "outbox":
                query = "select exists (select from outbox o where convert_from(payload, 'UTF8') || o::text like $1)"
            else:
                query = f"select exists (select from {name} t where t::text like $1)"
            if await self.pool.fetchval(query, f"%{text}%"):
                found.add(name)
        return found

    async def released(self, orders: Sequence[Order], *waves: WaveTerms) -> None:
        """As `planned`, and handed out."""
        await self.planned(orders, *waves)
        await self.call("operator", "POST", "/waves/noon:release")

    async def job(self, order: Order) -> dict[str, Any]:
        """The job as the operator sees it."""
        found = await self.call("operator", "GET", f"/jobs/{order.job}")
        assert isinstance(found, dict)
        return found


def upload(seq: int, kind: str, order: Order, epoch: int = 1, **body: Any) -> dict[str, Any]:
    """Return an upload as a courier's device sends it."""
    content = {"job": str(order.job), "epoch": epoch, **body}
    return {"session": "s1", "seq": seq, "recorded_at": hours(4.5).isoformat(), "kind": kind, "body": content}


@pytest.fixture(name="world")
async def fresh_world(
    database: Callable[[str], Awaitable[str]],
    make_pool: Callable[[Settings], Awaitable[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[World]:
    """A world in a database of its own, with a key for promises: the `world` of whoever imports it."""
    monkeypatch.setenv("HALFDAY_QUOTE_KEY", "a key of the test, long enough to be one")
    of_dispatch.cache_clear()
    settings, clock = Settings(database_url=await database("dispatch"), tokens=TOKENS), ManualClock(hours(0))
    world = World(
        Context(settings, Ports(clock, SERVICE.store), await make_pool(settings), lambda: None, SERVICE.name), clock
    )
    yield world
    await world.http.aclose()
    of_dispatch.cache_clear()
