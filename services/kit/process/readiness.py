"""What must be so before a process works, and what `/ready` looks at: the database, Kafka, backlogs, parked records."""

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
"""An outbox row that is older than this means that the relay does not get through."""


class Kafka:
    """A look at the broker with the service's own login: is it there, and do our topics exist for us?"""

    def __init__(self, settings: Settings, topics: Sequence[str]) -> None:
        self._settings = settings
        self._topics = sorted({settings.prefix + topic for topic in topics})
        self._client: Any = None

    async def require(self) -> None:
        """Returns when all topics are there and may be used; raises `NotReady` with the causes otherwise.

        A topic that is missing when consumers and relay start costs them minutes, so they wait for this.
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
            raise NotReady(f"topics not there for {self._settings.kafka_username or 'us'} yet: {', '.join(wrong)}")

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
        """Drops the connection; the next `require` makes a new one."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()


def topics_of(service: Service) -> list[str]:
    """Return every topic that the service reads or writes, without prefix."""
    written = [topic.name for topic in TOPICS if service.name in topic.writers]
    return [*written, *(subscription.topic for subscription in service.subscriptions)]


def api_checks(service: Service, context: Context) -> dict[str, Check]:
    """An API is ready when its database answers: orders are taken while Kafka is away. The service's own checks say
    more.
    """

    async def database() -> CheckResult:
        await context.pool.fetchval("select 1", timeout=1.5)
        return CheckResult(True, "answers")

    own = {name: partial(check, context.pool) for name, check in service.checks.items()}
    return {"database": database, **own}


def worker_checks(service: Service, context: Context, kafka: Kafka) -> dict[str, Check]:
    """A worker needs its database and Kafka, and a relay that gets through; the rest is told, and stops nothing."""

    async def broker() -> CheckResult:
        await kafka.require()
        return CheckResult(True, "answers")

    async def backlog() -> CheckResult:
        age = await outbox.oldest(context.pool)
        return CheckResult(age < STUCK_SECONDS, round(age, 3))

    async def parked() -> CheckResult:
        _, age = await dead_letters.waiting(context.pool)
        return CheckResult(True, round(age, 3))

    async def batches() -> CheckResult:
        done = [sample.value for metric in LAST_BATCH.collect() for sample in metric.samples]
        return CheckResult(True, f"last one {time.time() - max(done):.1f} s ago" if done else "none yet")

    return api_checks(service, context) | {"kafka": broker, "outbox": backlog, "parked": parked, "batches": batches}
