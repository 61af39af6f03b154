"""Reads every topic but the private one, as `observer`, and computes the observed state."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Self

from confluent_kafka import Consumer, Message, TopicPartition

from contracts.topics import OBSERVER, TOPICS
from deploy.scenarios.outcome.observed import Observed


class Observer:
    """Reads in its own thread from the beginning of every topic; `observed` can be read at any time."""

    def __init__(self, kafka: Mapping[str, Any]) -> None:
        security = kafka["security"]
        self._consumer = Consumer(
            {
                "bootstrap.servers": kafka["bootstrap"],
                "security.protocol": security["security_protocol"],
                "sasl.mechanisms": security["sasl_mechanism"],
                "sasl.username": security["username"],
                "sasl.password": security["password"],
                "group.id": f"{OBSERVER}.demo",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            }
        )
        self.observed = Observed()
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._read, name="observer", daemon=True)

    def __enter__(self) -> Self:
        places = [
            TopicPartition(topic.name, partition, 0)
            for topic in TOPICS
            if not topic.private
            for partition in range(topic.partitions)
        ]
        self._consumer.assign(places)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        self._consumer.close()

    def check(self) -> None:
        """Raise the error that ended the reading, if there was one."""
        if self._error:
            raise self._error

    def _read(self) -> None:
        try:
            while not self._stop.is_set():
                self._fold(self._consumer.consume(500, 0.1))
        except Exception as error:
            self._error = error

    def _fold(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if message.error():
                raise RuntimeError(f"reading the topics: {message.error()}")
            headers = {str(name): _text(value) for name, value in dict(message.headers() or ()).items()}
            written = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
            self.observed.take(message.topic() or "", headers, message.value(), written)


def _text(value: str | bytes | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""
