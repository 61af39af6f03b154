"""Reads every record of every topic but the private one, with a client of its own.

The services read with aiokafka; this reads with librdkafka and shares no code with them, so a mistake of one client
cannot hide itself.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from contracts.topics import OBSERVER, TOPICS
from deploy.local.errors import StackError

Place = tuple[str, int]
"""A topic and a partition of it."""
_TIMEOUT = 15.0


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the log. Header bytes that are not UTF-8 have their damaged places marked.

    Records with the same topic, key, value and headers are equal: they are copies of one.
    """

    topic: str
    partition: int = field(compare=False)
    offset: int = field(compare=False)
    key: str
    value: bytes | None
    headers: Mapping[str, str]

    @property
    def id(self) -> str:
        """The event's id, empty where the record has none."""
        return self.headers.get("ce_id", "")

    @property
    def where(self) -> str:
        """Topic, partition and offset as one word."""
        return f"{self.topic}/{self.partition}@{self.offset}"


@dataclass(frozen=True, slots=True)
class Log:
    """Records in order of topic, partition and offset, and the first and end offset of each partition."""

    records: tuple[Record, ...]
    spans: Mapping[Place, tuple[int, int]]


def read_log(kafka: Mapping[str, Any]) -> Log:
    """Read all records from the beginning to the end offsets at the start of the call.

    `kafka` is that part of endpoints.json. Raises `StackError` when the broker does not answer or stops sending.
    """
    consumer = Consumer(_settings(kafka))
    try:
        spans = {
            (topic.name, partition): consumer.get_watermark_offsets(TopicPartition(topic.name, partition), _TIMEOUT)
            for topic in TOPICS
            if not topic.private
            for partition in range(topic.partitions)
        }
        return Log(tuple(_read(consumer, spans)), spans)
    except KafkaException as error:
        raise StackError(f"the topics can't be read: {error.args[0].str()}") from None
    finally:
        consumer.close()


def _settings(kafka: Mapping[str, Any]) -> dict[str, Any]:
    security = kafka["security"]
    return {
        "bootstrap.servers": kafka["bootstrap"],
        "security.protocol": security["security_protocol"],
        "sasl.mechanisms": security["sasl_mechanism"],
        "sasl.username": security["username"],
        "sasl.password": security["password"],
        "group.id": f"{OBSERVER}.audit",  # never joined: positions are ours
        "enable.auto.commit": False,
        "enable.partition.eof": True,  # compaction may leave nothing at the last offset
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": 20,
        "log_level": 0,
    }


def _read(consumer: Consumer, spans: Mapping[Place, tuple[int, int]]) -> list[Record]:
    open_places = {place for place, (begin, end) in spans.items() if begin < end}
    consumer.assign([TopicPartition(*place, spans[place][0]) for place in open_places])
    found: list[Record] = []
    heard = time.monotonic()
    while open_places:
        messages = consumer.consume(5_000, 0.05)  # waits for that many or that long
        if messages:
            heard = time.monotonic()
        elif time.monotonic() - heard > _TIMEOUT:
            raise StackError(f"Kafka sent nothing for {_TIMEOUT:.0f} s; still unread: {sorted(open_places)}")
        for message in messages:
            place: Place = (message.topic() or "", message.partition() or 0)
            error = message.error()
            if error and error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            left = spans[place][1] - (message.offset() or 0)
            if not error and left > 0:
                found.append(_record(message))
            if error or left <= 1:
                open_places.discard(place)
    return sorted(found, key=lambda record: (record.topic, record.partition, record.offset))


def _record(message: Any) -> Record:
    headers = {name: _text(value) for name, value in message.headers() or ()}
    return Record(
        message.topic(), message.partition(), message.offset(), _text(message.key()), message.value(), headers
    )


def _text(raw: str | bytes | None) -> str:
    return raw.decode(errors="replace") if isinstance(raw, bytes) else raw or ""
