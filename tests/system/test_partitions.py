"""Partitions grow only while nothing runs and nothing is unread."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from contracts.topics import TOPICS, Topic
from deploy.local.commands import partitions
from deploy.local.data.lock import DataLock
from deploy.local.data.ports import Ports
from deploy.local.data.secrets import Secrets
from deploy.local.errors import StackError
from deploy.local.kafka.broker import Kafka
from deploy.local.kafka.topics import provision
from deploy.local.postgres.server import Postgres
from services.kit.database import KIT_MIGRATIONS, migrate
from services.kit.settings import Settings

NAME, GROUP = "orders.order.v1", "inventory.orders.order.v1"

pytestmark = pytest.mark.stack


def described(**partitions: int) -> tuple[Topic, ...]:
    return tuple(replace(topic, partitions=partitions.get(topic.name, topic.partitions)) for topic in TOPICS)


@contextmanager
def servers(data: Path) -> Iterator[tuple[Kafka, Postgres]]:
    """Both, alone, on the folder."""
    with ExitStack() as ending:
        secrets, ports = Secrets.load(data), Ports(data)
        kafka, postgres = Kafka(data, secrets.kafka, ports), Postgres(data, secrets.postgres, ports)
        for server in (postgres, kafka):
            ending.callback(server.stop)
            server.start()
        yield kafka, postgres


def sql(postgres: Postgres, statement: str) -> None:
    async def run() -> None:
        conn = await asyncpg.connect(postgres.url("orders"))
        await conn.execute(statement)
        await conn.close()

    asyncio.run(run())


@pytest.mark.timeout(900)
def test_grows_only_what_is_stopped_drained_and_not_compacted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    with pytest.raises(StackError, match="not a data folder"):
        partitions.grow(data)
    with servers(data) as (kafka, postgres):
        provision(kafka.bootstrap, "admin", Secrets.load(data).kafka["admin"])
        asyncio.run(migrate(Settings(database_url=postgres.url("orders")), [KIT_MIGRATIONS]))
        sql(postgres, "insert into outbox (topic, key, subject, seq, event_id, headers, payload) "
            "values ('t', 'k', 's', 1, gen_random_uuid(), '{}', '')")  # fmt: skip
        producer = Producer(kafka.client())
        producer.produce(NAME, b"x", b"k", partition=2)
        assert producer.flush(20) == 0
    held = DataLock(data)
    with pytest.raises(StackError, match="already runs"):
        partitions.grow(data)
    held.release()

    monkeypatch.setattr(partitions, "TOPICS", described(**{NAME: 8}))
    with pytest.raises(StackError, match="outbox of orders is not empty"):
        partitions.grow(data)
    with servers(data) as (kafka, postgres):
        sql(postgres, "delete from outbox")
    with pytest.raises(StackError, match=f"{GROUP} has not read all"):
        partitions.grow(data)
    with servers(data) as (kafka, postgres):
        reader = Consumer({**kafka.client(), "group.id": GROUP})
        partitions._committed(reader, [TopicPartition(NAME, 2)])  # from now on the broker takes positions
        reader.commit(offsets=[TopicPartition(NAME, 2, 1)], asynchronous=False)
        reader.close()
    assert partitions.grow(data) == {NAME: (6, 8)}
    assert partitions.grow(data) == {}
    monkeypatch.setattr(partitions, "TOPICS", described(**{NAME: 7}))
    with pytest.raises(StackError, match="a topic cannot shrink"):
        partitions.grow(data)
    monkeypatch.setattr(partitions, "TOPICS", described(**{NAME: 8, "orders.recipient.v1": 8}))
    with pytest.raises(StackError, match="is compacted"):
        partitions.grow(data)
