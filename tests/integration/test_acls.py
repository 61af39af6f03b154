"""Every pair of principal and topic, tried against a real broker: what the table doesn't grant is refused."""

import time

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from contracts.topics import DEPLOYED, OBSERVER, SERVICES, TOPICS, acls
from tests.stack import TestStack

pytestmark = pytest.mark.stack

PRINCIPALS = (*DEPLOYED, OBSERVER)
READERS = (*SERVICES, OBSERVER)
"""Those that may read a topic. Access reads none, and has no group."""
NAMES = [topic.name for topic in TOPICS]
REFUSED, GROUP_REFUSED = KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED


def granted(principal: str, operation: str, prefix: str) -> set[str]:
    return {a.name for a in acls(prefix) if (a.principal, a.operation, a.resource) == (principal, operation, "topic")}


def written(stack: TestStack, principal: str, topics: list[str]) -> dict[str, int | None]:
    """Topic -> None where one record was taken, else the code of the error."""
    outcome: dict[str, int | None] = {}
    producer = Producer(stack.client(principal) | {"message.timeout.ms": 20_000})
    for topic in topics:
        producer.produce(
            topic,
            key=b"k",
            value=b"{}",
            partition=0,
            on_delivery=lambda error, message: outcome.__setitem__(message.topic(), error.code() if error else None),
        )
    assert producer.flush(30) == 0
    return outcome


def read(stack: TestStack, principal: str, group: str, topics: list[str]) -> dict[str, int | None]:
    """Topic -> None where a record came, else the code of the error; each topic holds a record."""
    consumer = Consumer(stack.client(principal) | {"group.id": group, "enable.auto.commit": False})
    outcome: dict[str, int | None] = {}
    for topic in topics:  # what may not even be described is refused here, and a fetch would never be sent
        if error := consumer.list_topics(topic, timeout=20).topics[topic].error:
            outcome[topic] = error.code()
    consumer.assign([TopicPartition(topic, 0, 0) for topic in topics if topic not in outcome])
    deadline = time.monotonic() + 30
    while len(outcome) < len(topics) and time.monotonic() < deadline:
        message = consumer.poll(1)
        code = message.error().code() if message is not None and message.error() else None
        if message is not None and code in {None, REFUSED}:  # other errors pass: a coordinator that is just starting
            outcome[message.topic()] = code
    consumer.close()
    return outcome


def joined(stack: TestStack, principal: str, group: str, topics: str) -> int | None:
    """None where the principal became a member of the group, else the code of the error."""
    consumer = Consumer(stack.client(principal) | {"group.id": group})
    consumer.subscribe([sorted(granted(principal, "READ", topics))[0]])
    deadline = time.monotonic() + 30
    while not consumer.assignment() and time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is not None and message.error():
            return message.error().code()
    assert consumer.assignment()
    consumer.close()
    return None


@pytest.mark.parametrize("principal", PRINCIPALS)
def test_topics_are_written_and_read_as_the_table_says(stack: TestStack, topics: str, principal: str) -> None:
    names = [topics + name for name in NAMES]
    assert set(written(stack, "admin", names).values()) == {None}
    may = granted(principal, "WRITE", topics)
    assert written(stack, principal, names) == {n: None if n in may else REFUSED for n in names}
    may = granted(principal, "READ", topics)
    assert read(stack, principal, f"{topics}{principal}.acl", names) == {
        n: None if n in may else REFUSED for n in names
    }


@pytest.mark.parametrize("principal", READERS)
def test_groups_of_others_are_refused(stack: TestStack, topics: str, principal: str) -> None:
    outcome = {owner: joined(stack, principal, f"{topics}{owner}.main", topics) for owner in (*PRINCIPALS, "anybody")}
    assert outcome == {owner: None if owner == principal else GROUP_REFUSED for owner in (*PRINCIPALS, "anybody")}


@pytest.mark.parametrize("principal", PRINCIPALS)
def test_nobody_but_admin_makes_or_deletes_topics(stack: TestStack, topics: str, principal: str) -> None:
    admin = AdminClient(stack.client(principal))
    futures = {
        **admin.create_topics([NewTopic(f"{topics}new", 1, 1)], operation_timeout=20),
        **admin.delete_topics([f"{topics}{principal}.order.v1"], operation_timeout=20),
    }
    for future in futures.values():
        with pytest.raises(KafkaException) as refused:
            future.result(30)
        assert refused.value.args[0].code() == REFUSED
