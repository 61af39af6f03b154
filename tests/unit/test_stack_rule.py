"""The rule that picks a test run's Kafka and PostgreSQL."""

import pytest

from tests.stack import KAFKA_VARIABLE, POSTGRES_VARIABLE, Source, StackUnavailable, choose

BOTH = {KAFKA_VARIABLE: "127.0.0.1:9092", POSTGRES_VARIABLE: "postgresql://u:p@127.0.0.1/postgres"}


@pytest.mark.parametrize(
    ("environment", "embedded", "engine", "source"),
    [
        (BOTH, None, None, Source.GIVEN),
        (BOTH, "no Java", "no engine", Source.GIVEN),
        ({}, None, None, Source.EMBEDDED),
        ({}, None, "no engine", Source.EMBEDDED),
        ({}, "no Java", None, Source.CONTAINERS),
        (dict.fromkeys(BOTH, ""), None, None, Source.EMBEDDED),
    ],
)
def test_takes_the_first_that_can_be_had(environment, embedded, engine, source):
    assert choose(environment, embedded, engine) is source


def test_says_what_to_do_when_nothing_can_be_had():
    with pytest.raises(StackUnavailable, match=r"\(no Java\).*\(no engine\).*HALFDAY_TEST_KAFKA"):
        choose({}, "no Java", "no engine")


@pytest.mark.parametrize("one", BOTH)
def test_half_a_pair_is_a_mistake(one):
    with pytest.raises(StackUnavailable, match="both"):
        choose({one: BOTH[one]}, None, None)
