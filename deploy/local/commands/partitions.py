"""Adds partitions to the topics of a stopped stack, as `contracts.topics` describes."""

import asyncio
import time
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import asyncpg
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from contracts.topics import DEPLOYED, TOPICS, Topic
from deploy.local.data.lock import DataLock
from deploy.local.data.ports import Ports
from deploy.local.data.secrets import Secrets
from deploy.local.errors import StackError
from deploy.local.kafka.broker import Kafka
from deploy.local.postgres.server import Postgres
from services.kit.transaction import outbox

TIMEOUT = 30.0


def grow(data: Path) -> dict[str, tuple[int, int]]:
    """Add missing partitions; return topic to old and new number, empty if none is missing.

    A key moves to another partition, so a record could overtake an older one of its key. It therefore raises
    StackError, with nothing changed, while a stack runs on `data`, while an outbox has a row or a reader has not read
    all of such a topic, and for a compacted topic, which would keep two latest values of a key. Kafka and PostgreSQL
    run only during the call.
    """
    data = data.absolute()
    if not (data / "kafka").is_dir():
        raise StackError(f"{data} is not a data folder of a stack")
    with ExitStack() as ending:
        ending.callback(DataLock(data).release)
        secrets, ports = Secrets.load(data), Ports(data)
        kafka, postgres = Kafka(data, secrets.kafka, ports), Postgres(data, secrets.postgres, ports)
        for server in (postgres, kafka):
            ending.callback(server.stop)
            server.start()
        admin = AdminClient(kafka.client())
        short = _short(admin)
        if short:
            asyncio.run(_refuse_waiting(postgres))
        for topic in short:
            _refuse_unread(kafka, topic)
        _apply(admin, short)
        return {topic.name: (have, topic.partitions) for topic, have in short.items()}


def _short(admin: AdminClient) -> dict[Topic, int]:
    """Return the topics with fewer partitions than described, and their current number."""
    known = admin.list_topics(timeout=TIMEOUT).topics
    found = {topic: len(known[topic.name].partitions) for topic in TOPICS if topic.name in known}
    for topic, have in found.items():
        if have > topic.partitions:
            raise StackError(f"{topic.name} has {have} partitions; a topic cannot shrink to {topic.partitions}")
        if have < topic.partitions and topic.compacted:
            raise StackError(
                f"{topic.name} is compacted, so it cannot grow; a new major version of it can have more partitions"
            )
    return {topic: have for topic, have in found.items() if have < topic.partitions}


async def _refuse_waiting(postgres: Postgres) -> None:
    for service in DEPLOYED:
        conn = await asyncpg.connect(postgres.url(service))
        try:
            if await outbox.oldest(conn):
                raise StackError(f"the outbox of {service} is not empty: start the stack, let it drain, stop it again")
        except asyncpg.UndefinedTableError:
            pass  # it never ran
        finally:
            await conn.close()


def _refuse_unread(kafka: Kafka, topic: Topic) -> None:
    for reader in topic.readers:
        group = f"{reader}.{topic.name}"
        consumer = Consumer({**kafka.client(), "group.id": group})
        try:
            found = consumer.list_topics(topic.name, timeout=TIMEOUT).topics[topic.name].partitions
            places = _committed(consumer, [TopicPartition(topic.name, number) for number in found])
            if any(_unread(consumer, place) for place in places):
                raise StackError(f"{group} has not read all of {topic.name}: start the stack, let it drain, stop it")
        finally:
            consumer.close()


def _committed(consumer: Any, places: list[TopicPartition]) -> list[TopicPartition]:
    """Return the group's positions; a broker that has just started needs a moment to find the group's coordinator."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            found: list[TopicPartition] = consumer.committed(places, timeout=TIMEOUT)
            return found
        except KafkaException as error:
            if time.monotonic() > deadline:
                raise StackError(f"Kafka does not return the positions: {error.args[0].str()}") from None
            time.sleep(0.2)


def _unread(consumer: Any, place: TopicPartition) -> bool:
    first, end = consumer.get_watermark_offsets(place, timeout=TIMEOUT)
    return bool(max(first, place.offset) < end)


def _apply(admin: AdminClient, topics: Collection[Topic]) -> None:
    if not topics:
        return
    wanted = [NewPartitions(topic.name, topic.partitions) for topic in topics]
    for name, future in admin.create_partitions(wanted, operation_timeout=TIMEOUT).items():
        try:
            future.result(TIMEOUT)
        except KafkaException as error:
            raise StackError(f"Kafka refused to grow {name}: {error.args[0].str()}") from None
