"""A probe with its database and topics, its parts in this process or as processes, and the checks on what they did."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import IO, Any
from uuid import uuid4

import asyncpg
from confluent_kafka import Consumer, Producer, TopicPartition

from services.kit.clock import Clock
from services.kit.consumer.dedup import Dedup, Inbox
from services.kit.consumer.processor import BatchProcessor
from services.kit.consumer.subscription import Models, Subscription, TopicSource, subscribe
from services.kit.context import Context
from services.kit.database import connect_pool
from services.kit.kafka import make_broker
from services.kit.relay.relay import Relay
from services.kit.settings import Settings
from services.kit.transaction import outbox
from services.kit.transaction.message import Record
from services.kit.transaction.ports import Ports
from services.kit.transaction.unit_of_work import UnitOfWork
from tests.integration.probe.service import IN, MIGRATIONS, MODELS, OUT, Add, ProbeBook, subscription
from tests.stack import TestStack


@dataclass
class World:
    """One probe's surroundings."""

    stack: TestStack
    prefix: str
    settings: Settings
    pool: asyncpg.Pool[asyncpg.Record]
    clock: Clock = field(default_factory=Clock)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    errors: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    _open: list[asyncio.subprocess.Process] = field(default_factory=list)

    @property
    def context(self) -> Context:
        """The probe as a process with this database."""
        return Context(self.settings, Ports(self.clock), self.pool, self.wake.set, "probe")

    def unit(self, consumer: str = "probe.api") -> Any:
        """A unit of work of the probe."""
        return self.context.unit(consumer)

    async def add(self, *events: Add) -> None:
        """Writes the events as one transaction under the locks of their accounts."""
        async with self.unit() as uow:
            await lock_accounts(uow, sorted({event.account for event in events}))
            for event in events:
                uow.emit(event)

    def processor(
        self,
        handled: Subscription | None = None,
        *,
        by_key: bool = True,
        models: Models = MODELS,
        dedup: Dedup | None = None,
        open_repository: Any = ProbeBook,
        kind: type[BatchProcessor[TopicSource]] = BatchProcessor,
    ) -> BatchProcessor[TopicSource]:
        """The probe's processor on this database."""
        source = TopicSource("probe", handled or subscription(by_key=by_key), models)
        return kind(source, dedup or Inbox(), open_repository, self.context)

    @asynccontextmanager
    async def relay(self, kind: type[Relay] = Relay) -> AsyncIterator[Relay]:
        """A relay in this process."""
        async with self.unit() as uow:
            await outbox.prepare_archive(uow.conn)
        relay = kind("probe", self.settings, self.wake)
        task = asyncio.create_task(relay.run())
        try:
            yield relay
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    @asynccontextmanager
    async def consumer(
        self, processor: BatchProcessor[TopicSource] | None = None
    ) -> AsyncIterator[BatchProcessor[TopicSource]]:
        """A consumer in this process."""
        processor = processor or self.processor()
        broker = make_broker(self.settings)
        subscribe(broker, processor, self.settings)
        await broker.start()
        try:
            yield processor
        finally:
            await broker.stop()

    async def spawn(self, *parts: str, instance: str = "", fault: str = "") -> asyncio.subprocess.Process:
        """A probe process; returns when it is ready (or already dead of its fault)."""
        settings = self.settings.model_dump(exclude_none=True, include={
            "database_url", "kafka_bootstrap", "kafka_username", "kafka_password", "prefix"
        })  # fmt: skip
        env = os.environ | {f"HALFDAY_{name.upper()}": value for name, value in settings.items()}
        env |= {"HALFDAY_INSTANCE": instance, "FAULT": fault}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.integration.probe", *parts,
            env=env, stdout=asyncio.subprocess.PIPE, stderr=self.errors,
        )  # fmt: skip
        self._open.append(process)
        assert process.stdout
        await asyncio.wait_for(process.stdout.readline(), 30)
        return process

    async def close(self) -> None:
        """Ends this world's processes and connections."""
        for process in self._open:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        self.pool.terminate()
        self.errors.close()

    async def effects(self, what: str = "add") -> dict[str, list[int]]:
        """The numbers that took effect, per account, in order."""
        found: dict[str, list[int]] = defaultdict(list)
        for row in await self.pool.fetch("select account, n from effect where what = $1 order by id", what):
            found[row["account"]].append(row["n"])
        return dict(found)

    async def count(self, table: str, where: str = "true") -> int:
        """Rows of a table."""
        return int(await self.pool.fetchval(f"select count(*) from {table} where {where}"))

    def log(self, topic: str = OUT) -> list[Any]:
        """Every record of a topic from the beginning, per partition in order, read by another client than ours."""
        reader = Consumer({**self.stack.client(), "group.id": "none", "enable.auto.commit": False,
                           "enable.partition.eof": False, "auto.offset.reset": "earliest", "log_level": 0})  # fmt: skip
        name = self.prefix + topic
        try:
            return list(_read(reader, name))
        finally:
            reader.close()

    def produce(self, topic: str, records: Iterable[tuple[bytes | None, bytes | None, Any]], partition: int) -> None:
        """Writes raw records (key, value, headers) to a partition."""
        producer = Producer({**self.stack.client(), "acks": "all", "log_level": 0})
        for key, value, headers in records:
            producer.produce(self.prefix + topic, value=value, key=key, headers=headers, partition=partition)
        assert producer.flush(20) == 0


def _read(reader: Consumer, name: str) -> Iterable[Any]:
    partitions = reader.list_topics(name, timeout=20).topics[name].partitions
    ends = {p: reader.get_watermark_offsets(TopicPartition(name, p), timeout=20)[1] for p in partitions}
    reader.assign([TopicPartition(name, p, 0) for p in partitions])
    left = {p for p, end in ends.items() if end > 0}
    while left:
        message = reader.poll(20)
        assert message is not None, f"nothing came from {name}"
        assert message.error() is None, message.error()
        yield message
        if message.offset() + 1 >= ends[message.partition()]:
            left.discard(message.partition())


def header(message: Any, name: str) -> str:
    """A header of a record read by `World.log`."""
    return str(dict(message.headers() or [])[name].decode())


async def lock_accounts(uow: UnitOfWork, names: list[str]) -> None:
    """The head rows, first of all."""
    await uow.conn.execute("insert into account (name) select unnest($1::text[]) on conflict do nothing", names)
    await uow.conn.execute("select from account where name = any($1::text[]) order by name for update", names)


def record(add: Any, offset: int, *, partition: int = 0, id: str | None = None, **headers: str) -> Record:
    """An event as the record that a relay would have made of it, for tests that need no broker."""
    made = {
        "ce_id": id or str(uuid4()),
        "ce_type": add.TYPE,
        "ce_subject": add.subject,
        "ce_time": "2026-05-01T06:00:00Z",
    }
    return Record(IN, partition, offset, add.key.encode(), add.model_dump_json().encode(), made | headers)


def first_occurrences(log: list[Any]) -> dict[str, list[int]]:
    """Return per subject the `seq` of each event's first occurrence in the log."""
    seen: set[str] = set()
    found: dict[str, list[int]] = defaultdict(list)
    for message in log:
        if header(message, "ce_id") not in seen:
            seen.add(header(message, "ce_id"))
            found[header(message, "ce_subject")].append(int(header(message, "ce_seq")))
    return dict(found)


def broken(sequences: dict[str, list[int]], expected: dict[str, int]) -> list[str]:
    """Return the errors of sequences that should be 1, 2, 3 ... up to the expected number; empty
    when there are none.
    """
    wrong = []
    for name, count in expected.items():
        found = sequences.get(name, [])
        if lost := set(range(1, count + 1)) - set(found):
            wrong.append(f"{name}: {len(lost)} lost")
        if len(found) != len(set(found)):
            wrong.append(f"{name}: {len(found) - len(set(found))} doubled")
        if list(dict.fromkeys(found)) != sorted(set(found)):
            wrong.append(f"{name}: out of order")
    return wrong


@asynccontextmanager
async def open_world(stack: TestStack, prefix: str, **more: Any) -> AsyncIterator[World]:
    """A probe with a fresh database and fresh topics."""
    url = await stack.database("probe", folder=MIGRATIONS)
    settings = stack.settings("probe", url, prefix, **more)
    for topic, partitions in ((IN, 4), (OUT, 4), ("probe.dlq.v1", 1)):
        await asyncio.to_thread(stack.topic, prefix + topic, partitions)
    world = World(stack, prefix, settings, await connect_pool(settings))
    try:
        yield world
    finally:
        await world.close()
