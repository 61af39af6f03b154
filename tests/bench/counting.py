"""Counts the cost of a thousand orders from the API to their answers, driven step by step, instead
of measuring time.
"""

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

from contracts.scopes import LOCAL
from contracts.values import Principal
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
from services.kit.transaction.ports import Ports
from services.orders.api.schemas.order import NewOrder
from services.orders.app import SERVICE as ORDERS
from services.orders.commands.members import Members
from services.orders.commands.place_orders import PlaceOrders
from services.orders.domain.hold import HoldLimits
from services.orders.repository.catalog import CatalogCache
from tests.bench import market
from tests.bench.halfday_variant import put_catalogue, put_stock
from tests.bench.runs import Effort
from tests.bench.score import Line, Rule, line
from tests.bench.world import World
from tests.stack import TestStack

BUYER = Principal("local.buyer", "local", frozenset(LOCAL["buyer"]))


class Tally:
    """Counts so far; `statements` are round trips to PostgreSQL, BEGIN and COMMIT included."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    async def watch(self, conn: Any) -> None:
        """Count the statements of this connection from now on."""
        conn.add_query_logger(self._statement)

    def _statement(self, logged: Any) -> None:
        self.counts["statements"] += 1
        self.counts["commits"] += logged.query.startswith("COMMIT")

    @contextmanager
    def watching_kafka(self) -> Iterator[None]:
        """Count the requests of this process's producers."""
        send = AIOKafkaConnection.send

        def counted(conn: Any, request: Any, expect_response: bool = True) -> Any:
            if isinstance(request, ProduceRequest):
                self.counts["produce requests"] += 1
                self.counts["bytes on the wire"] += len(request.prepare(conn._versions).encode())
            return send(conn, request, expect_response)

        with patch.object(AIOKafkaConnection, "send", counted):
            yield


@dataclass
class DrivenService:
    """A service in this process, driven step by step."""

    context: Context
    service: Service
    tally: Tally
    stack: TestStack

    async def relay(self) -> None:
        """Publish all rows of the outbox."""
        conn, looking = [await database.connect(self.context.settings) for _ in range(2)]
        await conn.execute("set enable_sort = off")  # as the relay does
        await self.tally.watch(conn)
        relay = Relay(self.context.service, self.context.settings, asyncio.Event())
        async with Publisher(self.context.settings) as publisher:
            while await looking.fetchval("select exists (select from outbox)"):
                await relay._step(conn, publisher)
        await conn.close()
        await looking.close()

    async def consume(self, topic: str) -> None:
        """Process all records of the topic, in batches as large as a consumer's."""
        (processor,) = (one for one in self.service.processors(self.context) if one.source.subscription.topic == topic)
        records = await asyncio.to_thread(_records, self.stack, self.context.settings.prefix, topic)
        for at in range(0, len(records), MAX_RECORDS):
            await processor.handle(records[at : at + MAX_RECORDS])


@asynccontextmanager
async def _driven_service(
    stack: TestStack, service: Service, prefix: str, tally: Tally
) -> AsyncIterator[DrivenService]:
    url = await stack.database(service.name)
    settings = stack.settings(service.name, url, prefix)
    with patch.object(asyncpg, "create_pool", partial(asyncpg.create_pool, setup=tally.watch)):
        pool = await database.connect_pool(settings)
    await outbox.prepare_archive(pool)  # type: ignore[arg-type]
    try:
        yield DrivenService(
            Context(settings, Ports(Clock(), service.store), pool, lambda: None, service.name), service, tally, stack
        )
    finally:
        pool.terminate()


async def count_thousand_orders(stack: TestStack, prefix: str, orders: int = 1000) -> dict[str, int]:
    """Return the counts of so many orders from the API until the orders service has their answers, per 1 000 orders."""
    tally = Tally()
    async with (
        _driven_service(stack, ORDERS, prefix, tally) as orders_service,
        _driven_service(stack, INVENTORY, prefix, tally) as inventory_service,
    ):
        await put_catalogue(orders_service.context.pool)
        await put_stock(inventory_service.context.pool, 0)
        await inventory_service.relay()
        tally.counts.clear()
        with tally.watching_kafka():
            await _place(orders_service.context, orders)
            await orders_service.relay()
            await inventory_service.consume("inventory.command.v1")
            await inventory_service.relay()
            await orders_service.consume("inventory.stock.v1")
            await orders_service.relay()
        counts = {name: round(count * 1000 / orders) for name, count in sorted(tally.counts.items())}
        states = await orders_service.context.pool.fetch("select state, count(*) from orders group by state")
        assert [tuple(row) for row in states] == [("reserved", orders)]
    return counts


async def counts(world: World, _effort: Effort) -> list[Line]:
    """Return the figures of the count gate, without a peer."""
    prefix = f"counts{secrets.token_hex(2)}."
    await asyncio.to_thread(world.stack.topics, prefix)
    found = await count_thousand_orders(world.stack, prefix)
    return [
        line("counts", "1 000 orders", name, [count], [0.0], "", Rule.REPORTED, None) for name, count in found.items()
    ]


async def _place(context: Context, orders: int) -> None:
    place_orders = PlaceOrders(context, CatalogCache(), Members(bytes(32)), 900, HoldLimits(5, 20))
    bodies = [NewOrder.model_validate_json(order.body) for order in market.sample_orders(orders, 1)]
    await asyncio.gather(*(place_orders.submit(body.command(None, BUYER)) for body in bodies))


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
