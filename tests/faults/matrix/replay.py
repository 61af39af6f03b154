"""Reads all topics again: resets every consumer group to the first record while it has no members."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from contracts.topics import BY_NAME
from tests.faults.chaos import WORKERS
from tests.faults.matrix.injection import Injection

EMPTY_WITHIN_S = 30.0


async def replay(injection: Injection) -> int:
    """Stop all workers, reset their groups, let them work again; return the number of records to be read again."""
    held, pids = injection.environment.folder("held"), injection.environment.chaos.pids()
    for name in WORKERS:
        (held / name).touch()
        os.kill(pids[name], signal.SIGTERM)
    try:
        count = await asyncio.to_thread(_reset_groups, AdminClient(dict(injection.environment.admin)))
    finally:
        for name in WORKERS:
            (held / name).unlink()
    for name in WORKERS:
        await injection.environment.chaos.wait_for_restart(name, pids[name])
    return count


def _reset_groups(admin: AdminClient) -> int:
    """Reset every group to offset 0. It may take a while: a static member is remembered for its session."""
    deadline, count = time.monotonic() + EMPTY_WITHIN_S, 0
    for group in _groups(admin):
        count += _committed_records(admin, group)
        while not _reset(admin, group):
            assert time.monotonic() < deadline, f"{group.group_id} still has members"
            time.sleep(0.5)
    return count


def _reset(admin: AdminClient, group: ConsumerGroupTopicPartitions) -> bool:
    """Return True if the group has its new offsets; while it has members the broker refuses each
    partition separately.
    """
    try:
        result = admin.alter_consumer_group_offsets([group])[group.group_id].result(10)
    except KafkaException:
        return False
    return not any(place.error for place in result.topic_partitions)


def _groups(admin: AdminClient) -> Iterator[ConsumerGroupTopicPartitions]:
    for listed in admin.list_consumer_groups().result(10).valid:
        service, _, name = listed.group_id.partition(".")
        if topic := BY_NAME.get(name):
            places = [TopicPartition(name, partition, 0) for partition in range(topic.partitions)]
            yield ConsumerGroupTopicPartitions(f"{service}.{name}", places)


def _committed_records(admin: AdminClient, group: ConsumerGroupTopicPartitions) -> int:
    query = ConsumerGroupTopicPartitions(group.group_id)
    found = admin.list_consumer_group_offsets([query])[group.group_id].result(10)
    return sum(max(0, place.offset) for place in found.topic_partitions or ())
