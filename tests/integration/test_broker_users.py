"""Users of a service that is newer than the broker's data folder."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.local.kafka.users import add_users
from tests.stack import TestStack

pytestmark = pytest.mark.stack


def test_a_user_that_the_folder_lacks_is_added_once_and_can_log_in(stack: TestStack) -> None:
    users = stack.users | {"latecomer": "a-password"}
    assert add_users(stack.client(), users) == ["latecomer"]
    assert add_users(stack.client(), users) == []
    as_it = stack.client() | {"sasl.username": "latecomer", "sasl.password": "a-password"}
    assert AdminClient(as_it).list_topics(timeout=20).brokers
    with pytest.raises(KafkaException):
        AdminClient(as_it | {"sasl.password": "another"}).list_topics(timeout=3)
