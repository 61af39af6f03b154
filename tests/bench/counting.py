"""A thousand orders from the API to their answers, driven step by step, and what that takes: counts, not times."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

import asyncpg
from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.produce import ProduceRequest
from confluent_kafka import Consumer, TopicPartition

from services.inventory.app import SERVICE as INVENTORY
from services.kit import database
from services.kit.clock import Clock
from services.kit.consumer.subscription import MAX_RECORDS
from services.kit.context import Context
from services.kit.process.service import Service
from services.kit.relay.publisher import Publisher
from services.kit.relay.relay import Relay
from services.kit.transaction import outbox
from services.kit.transaction.message import Record
from services.orders.api.schemas.order import NewOrder
from services.orders.app import SERVICE as ORDERS
from services.orders.commands.place_orders import PlaceOrders
from services.orders.repository.catalog import CatalogCache
from tests.bench import market
from tests.bench.halfday_variant import catalogued, stocked
from tests.bench.runs import Effort
from tests.bench.score import Line, Rule, line
from tests.bench.world import World
from tests.stack import TestStack


class Tally:
    """What was counted so far; `statements` are round trips to PostgreSQL, BEGIN and COMMIT among them."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    async def watch(self, conn: Any) -> None:
        """Counts what is asked on this connection from here on."""
        conn.add_query_logger(self._statement)

    def _statement(self, logged: Any) -> None:
        self.counts["statements"] += 1
        self.counts["commits"] += logged.query.startswith("COMMIT")

    @contextmanager
    def watching_kafka(self) -> Iterator[None]:
        """Counts what this process's producers send."""
        send = AIOKafkaConnection.send

        def counted(conn: Any, request: Any, expect_response: bool = True) -> Any:
            if isinstance(request, ProduceRequest):
                self.counts["produce requests"] += 1
                self.counts["bytes on the wire"] += len(request.prepare(conn._versions).encode())
            return send(conn, request, expect_response)

        with patch.object(AIOKafkaConnection, "send", counted):
            yield


@dataclass
class Half:
    """A service in this process, driven by hand."""

    context: Context
    service: Service
    tally: Tally
    stack: TestStack

    async def relay(self) -> None:
        """Publishes all that waits."""
        conn, looking = [await database.connect(self.context.settings) for _ in range(2)]
        await conn.execute("set enable_sort = off")  # as the relay does for itself
        await self.tally.watch(conn)
        relay = Relay(self.context.service, self.context.settings, asyncio.Event())
        async with Publisher(self.context.settings) as publisher:
            while await looking.fetchval("select exists (select from outbox)"):
                await relay._step(conn, publisher)
        await conn.close()
        await looking.close()

    async def hear(self, topic: str) -> None:
        """Handles all that stands in the topic, in batches as large as a consumer's."""
        (processor,) = (one for one in self.service.processors(self.context) if one.subscription.topic == topic)
        records = await asyncio.to_thread(_records, self.stack, self.context.settings.prefix, topic)
        for at in range(0, len(records), MAX_RECORDS):
            await processor.handle(records[at : at + MAX_RECORDS])


@asynccontextmanager
async def _half(stack: TestStack, service: Service, prefix: str, tally: Tally) -> AsyncIterator[Half]:
    url = await stack.database(service.name)
    settings = stack.settings(service.name, url, prefix)
    with patch.object(asyncpg, "create_pool", partial(asyncpg.create_pool, setup=tally.watch)):
        pool = await database.connect_pool(settings)
    await outbox.prepare_archive(pool)  # type: ignore[arg-type]
    try:
        yield Half(Context(settings, Clock(), pool, lambda: None, service.name), service, tally, stack)
    finally:
        pool.terminate()


async def thousand(stack: TestStack, prefix: str, orders: int = 1000) -> dict[str, int]:
    """What so many orders take from the API until the orders service knows their answers, per 1 000 of them."""
    tally = Tally()
    async with _half(stack, ORDERS, prefix, tally) as buying, _half(stack, INVENTORY, prefix, tally) as storing:
        await catalogued(buying.context.pool)
        await stocked(storing.context.pool, 0)
        await storing.relay()
        tally.counts.clear()
        with tally.watching_kafka():
            await _place(buying.context, orders)
            await buying.relay()
            await storing.hear("inventory.command.v1")
            await storing.relay()
            await buying.hear("inventory.stock.v1")
            await buying.relay()
        counts = {name: round(count * 1000 / orders) for name, count in sorted(tally.counts.items())}
        states = await buying.context.pool.fetch("select state, count(*) from orders group by state")
        assert [tuple(row) for row in states] == [("reserved", orders)]
    return counts


async def counts(world: World, _effort: Effort) -> list[Line]:
    """The count gate's figures, without a peer."""
    prefix = f"counts{secrets.token_hex(2)}."
    await asyncio.to_thread(world.stack.topics, prefix)
    found = await thousand(world.stack, prefix)
    return [
        line("counts", "1 000 orders", name, [count], [0.0], "", Rule.REPORTED, None) for name, count in found.items()
    ]


async def _place(context: Context, orders: int) -> None:
    place_orders = PlaceOrders(context, CatalogCache(), 900)
    bodies = [NewOrder.model_validate_json(wish.body) for wish in market.wishes(orders, 1)]
    await asyncio.gather(*(place_orders.submit(body.command(None)) for body in bodies))


def _records(stack: TestStack, prefix: str, topic: str) -> list[Record]:
    consumer = Consumer({**stack.client(), "group.id": f"{prefix}counting", "enable.auto.commit": False})
    partitions = consumer.list_topics(prefix + topic, 10).topics[prefix + topic].partitions
    consumer.assign([TopicPartition(prefix + topic, number, 0) for number in partitions])
    ends = sum(consumer.get_watermark_offsets(TopicPartition(prefix + topic, n))[1] for n in partitions)
    found: list[Record] = []
    while len(found) < ends:
        for one in consumer.consume(1000, 1.0):
            headers = {name: value.decode() for name, value in one.headers()}
            found.append(Record(topic, one.partition(), one.offset(), one.key(), one.value(), headers))
    consumer.close()
    return sorted(found, key=lambda record: (record.partition, record.offset))
