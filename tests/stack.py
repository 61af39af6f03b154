"""The real Kafka and PostgreSQL of a test run: one pair, started when the first test needs it."""

from __future__ import annotations

import asyncio
import inspect
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from contracts.topics import TOPICS
from deploy.local.kafka.broker import Kafka
from deploy.local.kafka.topics import provision
from deploy.local.postgres.server import Postgres
from services.kit.database import KIT_MIGRATIONS, migrate
from services.kit.settings import Settings

T = TypeVar("T")
SERVICES = ("orders", "inventory", "dispatch", "access")
SHARED_MACHINE = 5
KAFKA_VARIABLE, POSTGRES_VARIABLE = "HALFDAY_TEST_KAFKA", "HALFDAY_TEST_POSTGRES"


class Source(StrEnum):
    """Origin of a run's Kafka and PostgreSQL."""

    GIVEN = "the given URLs"
    EMBEDDED = "the embedded pair"
    CONTAINERS = "containers"


class StackUnavailable(Exception):
    """No source is available; the message says what to do. Tests fail with it, they are not skipped."""


def choose(environment: Mapping[str, str], embedded: str | None, engine: str | None) -> Source:
    """Return the source: given URLs, otherwise the embedded pair, otherwise containers.

    `embedded` and `engine` are the reasons why each cannot be used, None when it can. Raises `StackUnavailable` when no
    source is available, or when only one URL is given.
    """
    given = [name for name in (KAFKA_VARIABLE, POSTGRES_VARIABLE) if environment.get(name)]
    if len(given) == 1:
        raise StackUnavailable(f"set both {KAFKA_VARIABLE} and {POSTGRES_VARIABLE}, or neither")
    if given:
        return Source.GIVEN
    if embedded is None:
        return Source.EMBEDDED
    if engine is None:
        return Source.CONTAINERS
    raise StackUnavailable(
        f"These tests need a Kafka and a PostgreSQL. Neither the embedded pair ({embedded}) nor containers "
        f"({engine}) are available: fix one of them, or set {KAFKA_VARIABLE} and {POSTGRES_VARIABLE}."
    )


@dataclass
class TestStack:
    """The pair. `kafka` and `postgres` are the embedded processes, which a test may kill and must start again; None if
    the pair came from another source. `users` maps Kafka users to passwords; empty means no login.
    """

    __test__ = False

    source: Source
    kafka_bootstrap: str
    admin_url: str
    users: dict[str, str] = field(default_factory=dict)
    kafka: Kafka | None = None
    postgres: Postgres | None = None
    stop: Callable[[], None] = lambda: None
    _templates: dict[str, str] = field(default_factory=dict)

    def client(self, user: str = "admin") -> dict[str, str]:
        """Return librdkafka settings for `user`; for the admin if the stack has no such user."""
        if not self.users:
            return {"bootstrap.servers": self.kafka_bootstrap, "log_level": "0"}
        user = user if user in self.users else "admin"
        return {
            "bootstrap.servers": self.kafka_bootstrap,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": user,
            "sasl.password": self.users[user],
            "log_level": "0",
        }

    def settings(self, service: str, database_url: str, prefix: str, **more: Any) -> Settings:
        """Return settings of a process of `service`; a service that exists only in tests logs in to Kafka as admin."""
        login = {}
        if self.users:
            user = service if service in self.users else "admin"
            login = {"kafka_username": user, "kafka_password": self.users[user]}
        known: dict[str, Any] = {"kafka_bootstrap": self.kafka_bootstrap, "prefix": prefix, **login}
        return Settings(database_url=database_url, **{**known, **more})

    def topics(self, prefix: str) -> None:
        """Create the topics and permissions of `contracts.topics` under the prefix."""
        if self.users:
            provision(self.kafka_bootstrap, "admin", self.users["admin"], prefix)
            return
        for topic in TOPICS:
            self.topic(prefix + topic.name, topic.partitions)

    def topic(self, name: str, partitions: int = 4, **config: str) -> None:
        """Create one more topic, by its full name; it can be written on return."""
        admin = AdminClient(self.client())
        made = admin.create_topics([NewTopic(name, partitions, 1, config=config)], operation_timeout=20)
        for future in made.values():
            future.result(30)
        latest = {TopicPartition(name, n): OffsetSpec.latest() for n in range(partitions)}
        until = time.monotonic() + 60
        while True:  # only the leaders answer, and they may lead later than the metadata say
            try:
                for offset in admin.list_offsets(latest, request_timeout=20).values():
                    offset.result(30)
            except KafkaException:  # one of several codes, by the step that the broker has not taken yet
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)
            else:
                return

    async def database(self, service: str, *, folder: Path | None = None) -> str:
        """Return the URL of a fresh migrated database, as the role of that service. A service that exists only in tests
        passes the folder of its migrations and uses the role `orders`.
        """
        role = service if service in SERVICES else "orders"
        if service not in self._templates:
            template = await self._create(role, None)
            folder = folder or Path("services", service, "migrations").absolute()
            settings = Settings(database_url=self._url(template, role))
            await migrate(settings, [found for found in (KIT_MIGRATIONS, folder) if found.is_dir()])
            self._templates[service] = template
        return self._url(await self._create(role, self._templates[service]), role)

    async def _create(self, role: str, template: str | None) -> str:
        name = f"t_{secrets.token_hex(6)}"
        conn = await asyncpg.connect(self.admin_url)
        try:
            owner = f"owner {role}" if self.postgres else ""
            await conn.execute(f"create database {name} {owner} template {template or 'template0'}")
        finally:
            await conn.close()
        return name

    def _url(self, database: str, role: str) -> str:
        if self.postgres:
            return self.postgres.url(database, role)
        return urlunsplit(urlsplit(self.admin_url)._replace(path=f"/{database}"))


def start_embedded(data: Path) -> TestStack:
    """Start the embedded pair in a data folder of its own."""
    users = {name: secrets.token_urlsafe(12) for name in (*SERVICES, "observer", "admin")}
    kafka, postgres = Kafka(data, users), Postgres(data, {name: secrets.token_urlsafe(12) for name in SERVICES})
    with ThreadPoolExecutor() as both:
        for started in [both.submit(postgres.start), both.submit(kafka.start)]:
            started.result()

    def stop() -> None:
        kafka.stop()
        postgres.stop()

    return TestStack(Source.EMBEDDED, kafka.bootstrap, postgres.admin_url, users, kafka, postgres, stop)


def from_urls(environment: Mapping[str, str]) -> TestStack:
    """Return the pair at the given URLs: `user:password@host:port` or `host:port` for Kafka, a superuser's URL for
    PostgreSQL.
    """
    login, _, address = environment[KAFKA_VARIABLE].rpartition("@")
    users = {"admin": login.partition(":")[2]} if login else {}
    return TestStack(Source.GIVEN, address, environment[POSTGRES_VARIABLE], users)


async def eventually(condition: Callable[[], T | Awaitable[T]], timeout: float = 20.0, what: str = "") -> T:
    """Return the first true result of the condition, sync or async; fail with the last one after the timeout.

    `timeout`: seconds that are ample on an idle machine. A shared one gets several times that: the limit ends a test
    that hangs, and measures nothing.
    """
    end = time.monotonic() + SHARED_MACHINE * timeout
    while True:
        found = condition()
        answer: Any = await found if inspect.isawaitable(found) else found
        if answer:
            return answer  # type: ignore[no-any-return]
        assert time.monotonic() < end, f"not within {timeout} s: {what or condition}; last result: {answer!r}"
        await asyncio.sleep(0.02)
