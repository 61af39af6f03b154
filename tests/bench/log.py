"""Reads and writes topics with librdkafka, which no variant uses."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import Consumer, Producer, TopicPartition

from tests.stack import TestStack

Sent = tuple[str, bytes, list[tuple[str, bytes]]]
"""Key, value and headers."""


def fill(stack: TestStack, topic: str, records: Iterable[Sent]) -> int:
    """Append the records; return their number when all are acknowledged."""
    settings = {"linger.ms": 5, "compression.type": "zstd", "queue.buffering.max.messages": 1_000_000}
    producer = Producer({**stack.client(), **settings})
    count = 0
    for key, value, headers in records:
        producer.produce(topic, value, key.encode(), headers=headers)
        count += 1
        if count % 1000 == 0:
            producer.poll(0)
    assert producer.flush(60) == 0
    return count


def read(stack: TestStack, topic: str, count: int) -> list[tuple[str, str, bytes]]:
    """Return (key, ce_id, value) of the topic's first records in order of partition and offset, at least `count` of
    them.
    """
    consumer = Consumer({**stack.client(), "group.id": "bench-reader", "enable.auto.commit": False})
    partitions = consumer.list_topics(topic, 10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    found: list[tuple[int, int, str, str, bytes]] = []
    while True:
        batch = consumer.consume(10_000, 2.0)
        for record in batch:
            assert not record.error(), record.error()
            headers = dict(record.headers() or [])
            found.append(
                (record.partition(), record.offset(), record.key().decode(), headers["ce_id"].decode(), record.value())
            )
        if len(found) >= count and not batch:
            break
    consumer.close()
    return [(key, id, value) for _, _, key, id, value in sorted(found)]
