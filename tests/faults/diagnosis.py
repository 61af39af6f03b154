"""The state of a stack in which orders do not end, as text: where messages and work wait."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from contracts.topics import ADMIN, BY_NAME, SERVICES
from deploy.local import endpoints
from deploy.local.data.secrets import Secrets

KAFKA_S, LINES, BYTES = 10.0, 6, 400_000
"""Seconds to wait for an answer of the broker; warnings to show of each process, from so much of the end of its log."""
TABLES = {
    "outbox": "select count(*), coalesce(extract(epoch from now() - min(created_at))::int, 0) from outbox",
    "dead letters": "select count(*), coalesce(extract(epoch from now() - min(parked_at))::int, 0) from parked",
    "sessions that wait for a lock": "select count(*), coalesce(max(extract(epoch from now() - state_change))::int, 0) "
    "from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    "open transactions": "select count(*), coalesce(max(extract(epoch from now() - xact_start))::int, 0) "
    "from pg_stat_activity where datname = current_database() and xact_start < now() - interval '1 s'",
}
STATES = {"orders": ("orders",), "inventory": (), "dispatch": ("wave", "job")}
"""The tables of each service with a count of their rows by state."""


async def diagnose(data: Path) -> str:
    """Return what a reader needs to name the cause: readiness and last warnings of each process, lag and members of
    each consumer group, and for each database the backlogs and the rows by state.

    A part that cannot be read says so; nothing is raised.
    """
    parts: dict[str, Callable[[], Awaitable[list[str]]]] = {
        "processes": lambda: asyncio.to_thread(lambda: list(_processes(data))),
        "consumer groups": lambda: asyncio.to_thread(lambda: list(_groups(data))),
        "databases": lambda: _collect(_databases(data)),
        "last warnings": lambda: asyncio.to_thread(lambda: list(_warnings(data))),
    }
    return "\n".join([f"{name}:\n{await _read(part)}" for name, part in parts.items()])


async def _read(part: Callable[[], Awaitable[list[str]]]) -> str:
    try:
        return "\n".join(f"  {line}" for line in await part())
    except Exception as error:  # the stack is in any state: the other parts may still be readable
        return f"  not readable: {error!r}"


async def _collect(lines: AsyncIterator[str]) -> list[str]:
    return [line async for line in lines]


def _processes(data: Path) -> Iterator[str]:
    yield from (f"{name}: {state}" for name, state in endpoints.readiness(data).items())


def _groups(data: Path) -> Iterator[str]:
    """Yield a line for each consumer group: members with the number of their partitions, and the lag."""
    admin = AdminClient({
        "bootstrap.servers": endpoints.read(data)["kafka"]["bootstrap"],
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": ADMIN,
        "sasl.password": Secrets.load(data).kafka[ADMIN],
        "log_level": 0,
    })  # fmt: skip
    names = [f"{reader}.{topic.name}" for topic in BY_NAME.values() for reader in topic.readers]
    for name, described in admin.describe_consumer_groups(names, request_timeout=KAFKA_S).items():
        group = described.result(KAFKA_S)
        members = [f"{one.group_instance_id or one.member_id}: {_count(one)}" for one in group.members]
        behind = _lag(admin, name)
        yield f"{name}: {group.state.name}, behind {sum(behind.values())} {behind or ''}, partitions {members}"


def _count(member: Any) -> int:
    return len(member.assignment.topic_partitions) if member.assignment else 0


def _lag(admin: AdminClient, group: str) -> dict[int, int]:
    """Return the uncommitted records of the group by partition, without the partitions that have none."""
    topic = BY_NAME[group.partition(".")[2]]
    places = [TopicPartition(topic.name, n) for n in range(topic.partitions)]
    asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group, places)], request_timeout=KAFKA_S)
    committed = {one.partition: max(0, one.offset) for one in asked[group].result(KAFKA_S).topic_partitions}
    ends = admin.list_offsets({place: OffsetSpec.latest() for place in places}, request_timeout=KAFKA_S)
    behind = {place.partition: end.result(KAFKA_S).offset - committed[place.partition] for place, end in ends.items()}
    return {partition: lag for partition, lag in sorted(behind.items()) if lag}


async def _databases(data: Path) -> AsyncIterator[str]:
    for service in SERVICES:
        conn = await asyncpg.connect(endpoints.read(data)["postgres"][service], timeout=10, command_timeout=20)
        try:
            for what, query in TABLES.items():
                count, age = await conn.fetchrow(query)
                yield f"{service}: {what}: {count}, the oldest for {age} s"
            for table in STATES[service]:
                rows = await conn.fetch(f"select state, count(*) from {table} group by state order by state")
                yield f"{service}: {table}: {dict(tuple(row) for row in rows)}"
        finally:
            await conn.close()


def _warnings(data: Path) -> Iterator[str]:
    """Yield the last warnings and errors of each process, one line each; of several with the same text the last."""
    for file in sorted((data / "logs").glob("*.log")):
        with file.open("rb") as log:
            log.seek(max(0, file.stat().st_size - BYTES))
            lines = log.read().decode(errors="replace").splitlines()
        last = {what: when for when, what in map(_warning, lines) if what}
        latest = sorted(last, key=lambda what: last[what])[-LINES:]
        yield from (f"{file.stem}: {last[what]} {what}"[:300] for what in latest)


def _warning(line: str) -> tuple[str, str]:
    """Return time and text of a warning or error; no text for any other line."""
    try:
        entry = json.loads(line)
        reasons = [str(entry[key]) for key in ("consumer", "reason", "error") if key in entry]
        cause = entry.get("exception", "").splitlines()[-1:]
        text = " ".join([entry["level"], entry["event"], *reasons, *cause])
        return entry["timestamp"], text if entry["level"] in {"warning", "error", "critical"} else ""
    except (ValueError, KeyError, TypeError):  # a line of Kafka or PostgreSQL, or one that was cut
        when, _, text = line.partition(" ")
        return when, text if text.startswith(("WARN", "ERROR")) else ""
