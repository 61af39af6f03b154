"""Reads every topic except the private one from its first record, with a client and code of its own."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from contracts.topics import TOPICS
from deploy.audit.invariants.events import is_dead_letter
from deploy.audit.invariants.facts import Fact


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
        self.log: list[Fact] = []

    def catch_up(self, timeout: float = 30) -> list[Fact]:
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
        data = _content(value)
        self._store(
            Fact(
                id=headers.get("ce_id", ""),
                type=headers.get("ce_type", "").rpartition(".v")[0].rpartition(".")[2],
                topic=topic,
                subject=headers.get("ce_subject", ""),
                data=data,
                where=f"{topic}/{partition}@{offset}",
                seq=int(headers.get("ce_seq", 0)),
                cause=headers.get("ce_causationid", ""),
                time=headers.get("ce_time", ""),
                content=hashlib.sha256(value).digest(),
                readable=bool(data) and not is_dead_letter(topic),
            )
        )

    def _store(self, record: Fact) -> None:
        self.log.append(record)


def _content(value: bytes) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = json.loads(value or b"{}")
    except ValueError:  # poison
        return {}
    return found
