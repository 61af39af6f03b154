"""Creates the topics and permissions that `contracts.topics` describes."""

import time
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from contracts.topics import RETENTION_MS, TOPICS, Acl, Topic, acls
from deploy.local.errors import StackError

DAY_MS = 24 * 3600 * 1000
TIMEOUT = 30.0


def provision(bootstrap: str, admin_user: str, admin_password: str, prefix: str = "") -> None:
    """Create missing topics and permissions; return when every partition has a leader. Idempotent.

    Never changes the partitions of an existing topic: keys would move while records are in flight. Raises StackError
    when such a topic has another number of partitions, or when the broker refuses.
    """
    admin = AdminClient(login(bootstrap, admin_user, admin_password))
    topics = {prefix + topic.name: topic for topic in TOPICS}
    new = [
        NewTopic(name, topic.partitions, replication_factor=1, config=_config(topic)) for name, topic in topics.items()
    ]
    # Permissions first: services that wait for their topics then see them missing, not forbidden.
    _settle(admin.create_acls([_binding(acl) for acl in acls(prefix)], request_timeout=TIMEOUT))
    _settle(admin.create_topics(new, operation_timeout=TIMEOUT), KafkaError.TOPIC_ALREADY_EXISTS)
    _await_leaders(admin, topics)


def login(bootstrap: str, user: str, password: str) -> dict[str, Any]:
    """Return the settings of a connection to the broker as a SCRAM user."""
    return {
        "bootstrap.servers": bootstrap,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": user,
        "sasl.password": password,
        "log_level": 0,
    }


def _config(topic: Topic) -> dict[str, str]:
    if not topic.compacted:
        return {"retention.ms": str(RETENTION_MS)}
    config = {"cleanup.policy": "compact"}
    if topic.private:
        config["max.compaction.lag.ms"] = str(DAY_MS)  # erased personal data is removed within a day
    return config


def _binding(acl: Acl) -> AclBinding:
    return AclBinding(
        ResourceType[acl.resource.upper()],
        acl.name,
        ResourcePatternType.PREFIXED if acl.prefixed else ResourcePatternType.LITERAL,
        f"User:{acl.principal}",
        "*",
        AclOperation[acl.operation],
        AclPermissionType.ALLOW,
    )


def _settle(futures: dict[Any, Future[Any]], harmless: int | None = None) -> None:
    for subject, future in futures.items():
        try:
            future.result(TIMEOUT)
        except KafkaException as error:
            if error.args[0].code() != harmless:
                raise StackError(f"Kafka refused {subject}: {error.args[0].str()}") from None


def _await_leaders(admin: AdminClient, topics: dict[str, Topic]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        known = admin.list_topics(timeout=TIMEOUT).topics
        for name, topic in topics.items():
            have = len(known[name].partitions) if name in known else topic.partitions
            if have not in (0, topic.partitions):
                raise StackError(
                    f"topic {name} has {have} partitions where {topic.partitions} are described; "
                    "stop everything, drain it, and change it by the runbook"
                )
        if all(name in known and _led(known[name], topic) for name, topic in topics.items()):
            return
        time.sleep(0.05)
    raise StackError("some Kafka partitions have no leader; see the broker's log")


def _led(found: Any, topic: Topic) -> bool:
    partitions = found.partitions.values()
    return len(partitions) == topic.partitions and all(partition.leader >= 0 for partition in partitions)
