"""Relay benchmarks: throughput of a backlog, and the lag of events while 500 transactions a second write."""

from __future__ import annotations

import asyncio
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from aiokafka import AIOKafkaConsumer

from contracts.registry import encode
from services.kit.transaction import outbox
from services.kit.transaction.outbox import Outgoing, Waker
from tests.bench import events, log
from tests.bench.client import quantile
from tests.bench.halfday_variant import service_environment
from tests.bench.market import sample_orders
from tests.bench.peers import one_by_one_relay
from tests.bench.runs import Effort, Figures, Results, take_turns
from tests.bench.score import Line, Rule, line
from tests.bench.world import Child, World
from tests.stack import eventually

SUBJECTS, RATE = 500, 500.0


class Outbox(ABC):
    """An outbox with its relay. Each of 500 keys has numbered events, so that their order can be checked."""

    name: str

    def __init__(self, world: World) -> None:
        self.world, self.topic, self.written = world, "", dict[str, list[str]]()
        self.children: list[Child] = []

    @abstractmethod
    async def open(self) -> None: ...

    @abstractmethod
    async def fill(self, rows: Sequence[tuple[str, UUID, bytes]]) -> None:
        """Write (key, id, payload) rows in one transaction."""

    @abstractmethod
    async def add(self, row: tuple[str, UUID, bytes]) -> None:
        """Write one row in a transaction of its own and wake the relay if the variant does so."""

    @abstractmethod
    async def left(self) -> bool:
        """Return True if a row waits."""

    @abstractmethod
    async def relay(self) -> None:
        """Start the relay."""

    async def close(self) -> None:
        """Stop the relay."""
        await self.children[-1].stop()

    async def drained(self) -> None:
        while await self.left():
            await asyncio.sleep(0.01)

    def new(self, count: int) -> list[tuple[str, UUID, bytes]]:
        """Return new events and remember their order."""
        made = []
        for n, order in enumerate(sample_orders(count, len(self.written))):
            key, id = f"subject-{n % SUBJECTS}", uuid4()
            self.written.setdefault(key, []).append(str(id))
            made.append((key, id, encode(events.placed(order))))
        return made

    async def violations(self) -> list[str]:
        """Check that the log has every event, each key's in order; duplicates are allowed."""
        total = sum(map(len, self.written.values()))
        found: dict[str, dict[str, None]] = {}
        for key, id, _ in await asyncio.to_thread(log.read, self.world.stack, self.topic, total):
            found.setdefault(key, {}).setdefault(id)
        lost = sum(len(set(ids) - found.get(key, {}).keys()) for key, ids in self.written.items())
        wrong = sum(list(found.get(key, ())) != ids for key, ids in self.written.items())
        return [f"{lost} events lost, {wrong} keys out of order"] if lost or wrong else []


class HalfdayOutbox(Outbox):
    """The kit's outbox and relay, archive included."""

    name = "halfday"

    async def open(self) -> None:
        prefix = f"relay{secrets.token_hex(2)}."
        self.world.stack.topics(prefix)
        self.topic, url = f"{prefix}orders.order.v1", await self.world.stack.database("orders")
        self.environment = service_environment(self.world, "orders", url, prefix, f"{prefix}relay")
        self.db = await self.world.pool(url, 8)
        self.waker = Waker(url)
        self.waking = asyncio.create_task(self.waker.run())
        await self.relay()
        await eventually(lambda: self.db.fetchval("select to_regclass('outbox_sent') is not null"), 20)

    async def relay(self) -> None:
        self.children.append(await self.world.start(["tests.bench.isolate", "relay"], 0, self.environment, ready=False))

    def _row(self, row: tuple[str, UUID, bytes]) -> Outgoing:
        key, id, payload = row
        headers = events.envelope(_NAMED, id).headers()
        return Outgoing("orders.order.v1", key, key, id, headers, payload)

    async def fill(self, rows: Sequence[tuple[str, UUID, bytes]]) -> None:
        made = [self._row(row) for row in rows]
        async with self.db.acquire() as conn, conn.transaction():
            await outbox.OutboxTable(conn).write(made)

    async def add(self, row: tuple[str, UUID, bytes]) -> None:
        async with self.db.acquire() as conn, conn.transaction():
            await outbox.OutboxTable(conn).write([self._row(row)])
        self.waker()

    async def left(self) -> bool:
        return await self.db.fetchval("select id from outbox order by id limit 1") is not None

    async def close(self) -> None:
        self.waking.cancel()
        await super().close()

    async def violations(self) -> list[str]:
        total = sum(map(len, self.written.values()))
        archived = await self.db.fetchval("select count(*) from outbox_sent")
        return await super().violations() + [f"{archived} of {total} events archived"] * (archived != total)


_NAMED = events.placed(sample_orders(1, 0)[0])


class OneByOne(Outbox):
    """The outbox and relay of most tutorials."""

    name = "one by one"

    async def open(self) -> None:
        self.topic = f"relay{secrets.token_hex(2)}"
        self.world.stack.topic(self.topic, 6)
        self.url = await self.world.database(one_by_one_relay.SCHEMA)
        self.db = await self.world.pool(self.url, 8)
        await self.relay()

    async def relay(self) -> None:
        environment = self.world.kafka() | {"DATABASE_URL": self.url}
        self.children.append(await self.world.start([one_by_one_relay.__name__], 0, environment, ready=False))
        child = self.children[-1]
        await eventually(lambda: "relaying" in child.log.read_text(), 20)

    async def fill(self, rows: Sequence[tuple[str, UUID, bytes]]) -> None:
        values = [(id, self.topic, key, payload) for key, id, payload in rows]
        async with self.db.acquire() as conn:
            await conn.copy_records_to_table("outbox", records=values, columns=["event_id", "topic", "key", "body"])

    async def add(self, row: tuple[str, UUID, bytes]) -> None:
        key, id, payload = row
        statement = "insert into outbox (event_id, topic, key, body) values ($1, $2, $3, $4)"
        await self.db.execute(statement, id, self.topic, key, payload)

    async def left(self) -> bool:
        return await self.db.fetchval("select id from outbox where not sent order by id limit 1") is not None


async def relay(world: World, effort: Effort) -> list[Line]:
    """Measure events a second out of a backlog; then kill the relay halfway through one, which may lose nothing."""
    both: list[Any] = [HalfdayOutbox(world), OneByOne(world)]
    for one in both:
        await one.open()

    async def measure(one: Outbox, _n: int) -> Figures:
        count = effort.of(20_000 if one.name == "halfday" else 3_000)
        rows = one.new(count)
        await one.fill(rows)
        began = time.perf_counter()
        await one.drained()
        return {"rate": count / (time.perf_counter() - began)}

    found = await take_turns(both, effort.runs, measure)
    for one in both:
        await _killed_in_the_middle(one, effort.of(20_000 if one.name == "halfday" else 3_000))
    await _close(both, found)
    rates, peer = found.of("halfday", "rate"), found.of("one by one", "rate")
    violations = found.violations["halfday"]
    return [line("relay", "drain", "events/s", rates, peer, "one by one", Rule.RATIO_AT_LEAST, 30, violations)]


async def _killed_in_the_middle(one: Outbox, count: int) -> None:
    rows = one.new(count)
    await one.fill(rows[: count // 2])
    await one.children[-1].kill()
    await one.fill(rows[count // 2 :])
    await one.relay()
    await one.drained()


async def _close(both: Sequence[Any], found: Results) -> None:
    for one in both:
        found.violations[one.name] = await one.violations()
        for violation in found.violations[one.name]:
            print(f"{one.name}: {violation}", flush=True)
        await one.close()


async def relay_lag(world: World, effort: Effort) -> list[Line]:
    """Measure the time from an event's commit until a reader has it, at 500 transactions a second, and the CPU."""
    both: list[Any] = [HalfdayOutbox(world), OneByOne(world)]
    for one in both:
        await one.open()

    async def measure(one: Outbox, _n: int) -> Figures:
        cpu = one.children[-1].cpu_s
        count = effort.of(1500)
        lags = await _lags(world, one, count)
        return {
            "p50": quantile(lags, 0.5),
            "p99": quantile(lags, 0.99),
            "cpu": (one.children[-1].cpu_s - cpu) / count * 10_000,
        }

    found = await take_turns(both, effort.runs, measure)
    await _close(both, found)
    rows = (("p99", "ms, p99", 30.0), ("p50", "ms, p50", None), ("cpu", "CPU s/10k", None))
    return [
        line(
            "relay-lag", "500 tx/s", unit, found.of("halfday", name), found.of("one by one", name), "one by one",
            Rule.OURS_AT_MOST if bar else Rule.REPORTED, bar, found.violations["halfday"],
        )
        for name, unit, bar in rows
    ]  # fmt: skip


async def _lags(world: World, one: Outbox, count: int) -> list[float]:
    committed: dict[str, float] = {}
    arrived: dict[str, float] = {}
    login = world.stack.users["admin"]
    consumer = AIOKafkaConsumer(
        one.topic, bootstrap_servers=world.stack.kafka_bootstrap, security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512", sasl_plain_username="admin", sasl_plain_password=login,
    )  # fmt: skip
    await consumer.start()
    await consumer.seek_to_end()

    async def listen() -> None:
        while len(arrived) < count:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    arrived.setdefault(dict(record.headers)["ce_id"].decode(), time.perf_counter())

    listening = asyncio.create_task(listen())

    async def write(row: tuple[str, UUID, bytes]) -> None:
        await one.add(row)
        committed[str(row[1])] = time.perf_counter()

    began, tasks = time.perf_counter(), []
    for n, row in enumerate(one.new(count)):
        await asyncio.sleep(began + n / RATE - time.perf_counter())
        tasks.append(asyncio.create_task(write(row)))
    await asyncio.gather(*tasks)
    await asyncio.wait_for(listening, 60)
    await consumer.stop()
    return [(arrived[id] - at) * 1000 for id, at in committed.items()]
