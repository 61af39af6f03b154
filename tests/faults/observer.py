"""Reads every topic except the private one from its first record, with a client and code of its own."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from contracts.topics import TOPICS


@dataclass(frozen=True, slots=True)
class ObservedRecord:
    """One record. `type` is the short name (`order-placed`), `seq` 0 if absent, `digest` that of the value."""

    topic: str
    partition: int
    offset: int
    id: str
    type: str
    subject: str
    seq: int
    data: Mapping[str, Any]
    digest: str


class Observer:
    """Remembers all records it has read, per partition in offset order."""

    def __init__(self, kafka: Mapping[str, Any]) -> None:
        security = kafka["security"]
        connection = {
            "bootstrap.servers": kafka["bootstrap"],
            "security.protocol": security["security_protocol"],
            "sasl.mechanisms": security["sasl_mechanism"],
            "sasl.username": security["username"],
            "sasl.password": security["password"],
            "log_level": 0,
        }
        self._connection = connection
        self._consumer = Consumer(
            {**connection, "group.id": "observer.faults", "enable.auto.commit": False, "auto.offset.reset": "earliest"}
        )
        self._next = {(t.name, p): 0 for t in TOPICS if not t.private for p in range(t.partitions)}
        self._consumer.assign([TopicPartition(topic, partition, 0) for topic, partition in self._next])
        self.log: list[ObservedRecord] = []

    def catch_up(self, timeout: float = 30) -> list[ObservedRecord]:
        """Read to the current ends of the topics within `timeout` seconds; return all records read so far."""
        deadline = time.monotonic() + timeout
        ends = self._ends()
        while any(self._next[place] < end for place, end in ends.items()):
            assert time.monotonic() < deadline, f"the topics could not be read to their ends within {timeout} s"
            for message in self._consumer.consume(1000, 0.2):
                self._decode(message)
        return self.log

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()

    def _ends(self) -> dict[tuple[str, int], int]:
        # Not by the consumer, where each request would wait behind a long poll; and by a new client each time, because
        # an old one keeps using the leader epoch from before a restart and is fenced.
        wanted = {TopicPartition(*place): OffsetSpec.latest() for place in self._next}
        admin = AdminClient(self._connection)  # referenced until it has answered
        found = admin.list_offsets(wanted, request_timeout=20)
        return {
            (place.topic, place.partition): int(headers_found.result(30).offset)
            for place, headers_found in found.items()
        }

    def _decode(self, message: Message) -> None:
        if message.error():  # such as an unavailable broker; the consumer retries by itself
            return
        headers_found = message.headers() or ()
        headers = {name: value.decode(errors="replace") for name, value in headers_found if isinstance(value, bytes)}
        value = message.value() or b""
        topic, partition, offset = message.topic() or "", message.partition() or 0, message.offset() or 0
        assert offset == self._next[topic, partition], (
            f"{topic}/{partition} continues at offset {offset}, expected {self._next[topic, partition]}"
        )
        self._next[topic, partition] = offset + 1
        self._store(
            ObservedRecord(
                topic,
                partition,
                offset,
                headers.get("ce_id", ""),
                headers.get("ce_type", "").rpartition(".v")[0].rpartition(".")[2],
                headers.get("ce_subject", ""),
                int(headers.get("ce_seq", 0)),
                _content(value),
                hashlib.sha256(value).hexdigest()[:24],
            )
        )

    def _store(self, record: ObservedRecord) -> None:
        self.log.append(record)


def _content(value: bytes) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = json.loads(value or b"{}")
    except ValueError:  # poison
        return {}
    return found
