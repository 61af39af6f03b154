"""Backlog of the services: events in outboxes, records that no consumer has processed, overdue deadlines."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from contracts.topics import ADMIN, TOPICS
from deploy.scenarios.drivers.pace import Pace
from services.kit.transaction.unfinished import Unfinished, unfinished

WAIT_S = 10
EVERY_S = 0.1
Place = tuple[str, int]
_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_AWAY = (KafkaException, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


@dataclass(frozen=True, slots=True)
class Positions:
    """End offsets of the topics' partitions, and each consumer group's committed offsets."""

    ends: Mapping[Place, int]
    committed: Mapping[str, Mapping[Place, int]]

    def lags(self, of: Mapping[Place, int] | None = None) -> dict[str, int]:
        """Return consumer group to records before these ends, by default the current ones, that it has not
        committed.
        """
        ends = self.ends if of is None else of
        found = {
            group: sum(max(0, ends.get(place, 0) - max(0, offset)) for place, offset in places.items())
            for group, places in self.committed.items()
        }
        return {group: lag for group, lag in found.items() if lag}


class Consumers:
    """Reads the positions of every consumer group of the services, as the broker's admin."""

    def __init__(self, kafka: Mapping[str, Any], password: str) -> None:
        self._client = AdminClient(
            {
                "bootstrap.servers": kafka["bootstrap"],
                "security.protocol": kafka["security"]["security_protocol"],
                "sasl.mechanisms": kafka["security"]["sasl_mechanism"],
                "sasl.username": ADMIN,
                "sasl.password": password,
                "log_level": 0,  # the stack ends first, which is expected
            }
        )
        known = {group.group_id for group in self._client.list_consumer_groups().result(WAIT_S).valid or ()}
        self._places = {
            group: [TopicPartition(topic.name, partition) for partition in range(topic.partitions)]
            for topic in TOPICS
            for group in (f"{service}.{topic.name}" for service in topic.readers)
            if group in known  # a service that does not read the topic yet has no group
        }
        self._all = list({(p.topic, p.partition): p for places in self._places.values() for p in places}.values())

    def read(self) -> Positions:
        """Return end and committed offsets, in one round of requests. Raises KafkaException."""
        asked = {
            group: self._client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group, places)])[group]
            for group, places in self._places.items()
        }
        committed = {
            group: {(p.topic, p.partition): p.offset for p in future.result(WAIT_S).topic_partitions or ()}
            for group, future in asked.items()
        }
        ends = self._client.list_offsets(dict.fromkeys(self._all, _LATEST))
        return Positions(
            {(p.topic, p.partition): future.result(WAIT_S).offset for p, future in ends.items()}, committed
        )


class Backlog:
    """Polls the services, at most ten times a second.

    `since`: everything before this minute is processed. `quiet_at`: the value of `Pace.steps` at the start of the last
    poll that found no work; while it is unchanged, there is none. `behind` lists unprocessed work as text; `moved`
    changes whenever a service progresses.
    """

    def __init__(self, consumers: Consumers, databases: Mapping[str, str], pace: Pace) -> None:
        self._consumers, self._databases, self._pace = consumers, databases, pace
        self._connections: dict[str, asyncpg.Connection[asyncpg.Record]] = {}
        self._looks: deque[tuple[float, float, Mapping[Place, int]]] = deque(maxlen=3_000)
        self._handled = self.since = pace.minute
        self.quiet_at = -1
        self.behind: tuple[str, ...] = ()
        self.moved: object = None

    async def watch(self) -> None:
        """Poll until cancelled; a broker or database that does not answer is tried again."""
        try:
            while True:
                began = time.monotonic()
                try:
                    await self.look()
                except _AWAY as error:
                    self.behind = (f"Kafka or PostgreSQL does not answer: {type(error).__name__}",)
                    self._drop()
                # a slow response means a busy machine, which needs fewer requests
                await asyncio.sleep(max(EVERY_S, time.monotonic() - began))
        finally:
            self._drop()

    async def look(self) -> None:
        """Poll once. Raises the drivers' errors."""
        steps, minute, began = self._pace.steps, self._pace.minute, time.monotonic()
        waiting = {service: await self._waiting(service) for service in self._databases}
        found = await asyncio.to_thread(self._consumers.read)
        unchanged = bool(self._looks) and self._looks[-1][2] == found.ends
        self._looks.append((began, minute, found.ends))
        self._handled = self._handled_until(found)
        lags, events = found.lags(), {service: one.events for service, one in waiting.items() if one.events}
        overdue = {s: at for s, one in waiting.items() if one.due_at and (at := self._minute(one.due_at)) < minute}
        oldest = max((one.age_s for one in waiting.values()), default=0.0)
        self.since = min(self._handled, self._minute_before(began - oldest), *overdue.values(), minute)
        self.behind = (
            *(f"{group} is {lag} records behind" for group, lag in lags.items()),
            *(f"the outbox of {service} holds {count} events" for service, count in events.items()),
            *(f"a deadline of {service} is overdue since {self._pace.at(at):%H:%M}" for service, at in overdue.items()),
        )
        if unchanged and not self.behind:
            self.quiet_at = steps
        self.moved = (sum(found.ends.values()), sum(lags.values()), tuple(events.items()))

    def _handled_until(self, found: Positions) -> float:
        """Return the minute of the newest poll with end offsets that all groups have committed now."""
        handled = self._handled
        for _, minute, ends in self._looks:
            if found.lags(ends):
                break
            handled = minute
        while len(self._looks) > 1 and self._looks[0][1] < handled:
            self._looks.popleft()
        return handled

    def _minute_before(self, moment: float) -> float:
        """Return the minute of the last poll that began before a moment of the monotonic clock."""
        before = [minute for began, minute, _ in self._looks if began <= moment]
        return before[-1] if before else self._looks[0][1]

    def _minute(self, instant: datetime) -> float:
        return self._pace.minute_of(instant)

    async def _waiting(self, service: str) -> Unfinished:
        if service not in self._connections:
            self._connections[service] = await asyncpg.connect(self._databases[service], timeout=5)
        return await unfinished(self._connections[service], timeout_s=30)

    def _drop(self) -> None:
        connections, self._connections = self._connections, {}
        for conn in connections.values():
            conn.terminate()
