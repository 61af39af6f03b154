"""How far the services' consumers are behind the end of their topics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from contracts.topics import TOPICS
from deploy.local.kafka_config import ADMIN

WAIT_S = 10
LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]


def admin(kafka: Mapping[str, Any], password: str) -> AdminClient:
    """A client that may look at every group's offsets."""
    return AdminClient(
        {
            "bootstrap.servers": kafka["bootstrap"],
            "security.protocol": kafka["security"]["security_protocol"],
            "sasl.mechanisms": kafka["security"]["sasl_mechanism"],
            "sasl.username": ADMIN,
            "sasl.password": password,
            "log_level": 0,  # that the stack is gone at the end is no news
        }
    )


def behind(client: AdminClient) -> dict[str, int]:
    """Consumer group to records that it has not committed yet; groups that have read everything are left out.

    A reader that has no group, because its service has no use for the topic yet, is not behind.
    """
    groups = {group.group_id for group in client.list_consumer_groups().result(WAIT_S).valid or ()}
    found: dict[str, int] = {}
    for topic in TOPICS:
        places = [TopicPartition(topic.name, partition) for partition in range(topic.partitions)]
        for group in groups & {f"{service}.{topic.name}" for service in topic.readers}:
            asked = client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group, places)])
            committed = {p.partition: p.offset for p in asked[group].result(WAIT_S).topic_partitions or ()}
            ends = client.list_offsets(dict.fromkeys(places, LATEST))
            end = {place.partition: future.result(WAIT_S).offset for place, future in ends.items()}
            lag = sum(end[n] - max(0, committed.get(n, 0)) for n in end)
            if lag:
                found[group] = lag
    return found
