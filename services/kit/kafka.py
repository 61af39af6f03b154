"""Kafka clients with the settings that the guarantees need; the libraries' defaults lose records."""

from __future__ import annotations

import logging
import time
from typing import Any

from aiokafka import AIOKafkaProducer
from faststream.kafka import KafkaBroker
from faststream.security import BaseSecurity, SASLScram512

from services.kit.compat import report_closed_connections
from services.kit.settings import Settings

report_closed_connections()

REQUEST_TIMEOUT_MS = 15_000
UNREACHABLE = (
    "Kafka at {0} can't be reached: the address is wrong or nothing listens there, the password is wrong, or one side "
    "expects a login that the other does not use"
)


def make_broker(settings: Settings) -> KafkaBroker:
    """Return the broker object that consumers subscribe on. It creates no topics and publishes nothing; when it stops,
    current batches have 20 s to finish.
    """
    quiet()
    return KafkaBroker(
        settings.kafka_bootstrap,
        client_id=settings.instance or None,
        security=_security(settings),
        consumer_only=True,
        allow_auto_create_topics=False,
        graceful_timeout=20.0,
        apply_types=False,
        logger=logging.getLogger("faststream"),
        log_level=logging.DEBUG,
    )


def make_producer(settings: Settings) -> AIOKafkaProducer:
    """Return a producer for the relay, not started: all replicas acknowledge, retries make no duplicates, zstd."""
    quiet()
    login: dict[str, Any] = {}
    if settings.kafka_username:
        login = {
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": settings.kafka_password,
        }
    return AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap,
        client_id=f"{settings.instance or 'halfday'}.relay",
        acks="all",
        enable_idempotence=True,
        compression_type="zstd",
        max_batch_size=256 * 1024,
        linger_ms=0,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        security_protocol=settings.security_protocol,
        **login,
    )


def _security(settings: Settings) -> BaseSecurity | None:
    if not settings.kafka_username:
        return None
    return SASLScram512(settings.kafka_username, settings.kafka_password or "", use_ssl=False)


class Sparse(logging.Filter):
    """Passes the same message of a logger once in five seconds: aiokafka logs a hundred lines a second while the broker
    is away.
    """

    def __init__(self, every: float = 5.0) -> None:
        super().__init__()
        self._every = every
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return true for a line to write; two lines are the same when their text before formatting is the same."""
        now = time.monotonic()
        if now - self._last.get(str(record.msg), -self._every) < self._every:
            return False
        self._last[str(record.msg)] = now
        return True


_sparse = Sparse()
_LOGGERS = (
    "aiokafka", "aiokafka.client", "aiokafka.cluster", "aiokafka.conn", "aiokafka.producer.sender",
    "aiokafka.producer.producer", "aiokafka.consumer.consumer", "aiokafka.consumer.fetcher",
    "aiokafka.consumer.group_coordinator", "aiokafka.coordinator.consumer", "aiokafka.coordinator.assignors.roundrobin",
)  # fmt: skip


def quiet() -> None:
    """Limit the rate of the client library's log lines. A filter works on its own logger, never on the children."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_sparse)
    faststream = logging.getLogger("faststream")
    faststream.handlers.clear()  # its default handler prints plain text beside the process's JSON
    faststream.propagate = True
    faststream.setLevel(logging.WARNING)
