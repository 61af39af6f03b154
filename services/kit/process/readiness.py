"""Readiness: conditions for a process to start work, and the checks of `/ready` (database, Kafka, backlogs)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code

from contracts.topics import TOPICS
from services.kit.consumer import dead_letters
from services.kit.context import Context
from services.kit.errors import NotReady
from services.kit.http.health import Check, CheckResult
from services.kit.kafka import UNREACHABLE, quiet
from services.kit.process.service import Service
from services.kit.settings import Settings
from services.kit.telemetry.metrics import LAST_BATCH
from services.kit.transaction import outbox

STUCK_SECONDS = 30.0
"""An older outbox row means that the relay does not get through."""


class Kafka:
    """Checks with the service's own login that the broker answers and that its topics exist."""

    def __init__(self, settings: Settings, topics: Sequence[str]) -> None:
        self._settings = settings
        self._topics = sorted({settings.prefix + topic for topic in topics})
        self._client: Any = None

    async def require(self) -> None:
        """Return when all topics exist and may be used; raise `NotReady` with the causes otherwise.

        Consumers and relay lose minutes on a topic that is missing when they start, so they wait for this.
        """
        try:
            if self._client is None:
                self._client = await self._connect()
            found = await self._client.describe_topics(self._topics)
        except Exception as error:
            await self.close()
            raise NotReady(UNREACHABLE.format(self._settings.kafka_bootstrap)) from error
        wrong = [f"{t['topic']}: {for_code(t['error_code']).__name__}" for t in found if t["error_code"]]
        if wrong:
            raise NotReady(f"topics not usable by {self._settings.kafka_username or 'us'} yet: {', '.join(wrong)}")

    async def _connect(self) -> Any:
        quiet()
        login: dict[str, Any] = {}
        if self._settings.kafka_username:
            login = {
                "sasl_mechanism": "SCRAM-SHA-512",
                "sasl_plain_username": self._settings.kafka_username,
                "sasl_plain_password": self._settings.kafka_password,
            }
        client = AIOKafkaAdminClient(
            bootstrap_servers=self._settings.kafka_bootstrap,
            client_id=f"{self._settings.instance}.ready",
            security_protocol=self._settings.security_protocol,
            request_timeout_ms=2_000,
            **login,
        )
        try:
            await client.start()
        except BaseException:
            await client.close()
            raise
        return client

    async def close(self) -> None:
        """Close the connection; the next `require` opens a new one."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()


async def ask_kafka(settings: Settings, topics: Sequence[str]) -> None:
    """Return when the broker answers over a new connection; raise `NotReady` otherwise."""
    kafka = Kafka(settings, topics)
    try:
        await kafka.require()
    finally:
        await kafka.close()


def topics_of(service: Service) -> list[str]:
    """Return every topic that the service reads or writes, without prefix."""
    written = [topic.name for topic in TOPICS if service.name in topic.writers]
    return [*written, *(subscription.topic for subscription in service.subscriptions)]


def api_checks(service: Service, context: Context) -> dict[str, Check]:
    """Return the checks of an API, which is ready when its database answers: orders are accepted while Kafka is away.
    The service's own checks are added.
    """

    async def database() -> CheckResult:
        await context.pool.fetchval("select 1", timeout=1.5)
        return CheckResult(True, "answers")

    own = {name: partial(check, context.pool) for name, check in service.checks.items()}
    return {"database": database, **own}


def worker_checks(service: Service, context: Context, kafka: Kafka) -> dict[str, Check]:
    """Return the checks of a worker: ready when database and Kafka answer and the outbox drains; others inform only."""

    async def broker() -> CheckResult:
        await kafka.require()
        return CheckResult(True, "answers")

    async def backlog() -> CheckResult:
        age = await outbox.oldest(context.pool)
        return CheckResult(age < STUCK_SECONDS, round(age, 3))

    async def dead_letter_age() -> CheckResult:
        _, age = await dead_letters.waiting(context.pool)
        return CheckResult(True, round(age, 3))

    async def batches() -> CheckResult:
        done = [sample.value for metric in LAST_BATCH.collect() for sample in metric.samples]
        return CheckResult(True, f"last one {time.time() - max(done):.1f} s ago" if done else "none yet")

    own = {"kafka": broker, "outbox": backlog, "parked": dead_letter_age, "batches": batches}
    return api_checks(service, context) | own
