"""Compares the permissions with a list written by hand, so that a mistake in either is found."""

import pytest

from contracts.topics import ACCESS, BY_NAME, OBSERVER, SERVICES, Acl, acls

READS = {
    "orders": {"inventory.stock.v1", "inventory.lot.v1", "dispatch.job.v1", "access.principal.v1"},
    "inventory": {
        "access.principal.v1",
        "inventory.command.v1",
        "orders.catalog.v1",
        "orders.stall.v1",
        "orders.order.v1",
        "dispatch.job.v1",
    },
    "dispatch": {"dispatch.command.v1", "orders.catalog.v1", "orders.recipient.v1", "access.principal.v1"},
    "access": set(),
    "observer": {
        "access.principal.v1",
        "orders.catalog.v1",
        "orders.order.v1",
        "orders.campaign.v1",
        "orders.stall.v1",
        "inventory.command.v1",
        "inventory.stock.v1",
        "inventory.lot.v1",
        "dispatch.command.v1",
        "dispatch.job.v1",
        "dispatch.wave.v1",
        "orders.dlq.v1",
        "inventory.dlq.v1",
        "dispatch.dlq.v1",
    },
}
WRITES = {
    "orders": {
        "orders.catalog.v1",
        "orders.recipient.v1",
        "orders.order.v1",
        "orders.campaign.v1",
        "orders.stall.v1",
        "inventory.command.v1",
        "dispatch.command.v1",
        "orders.dlq.v1",
    },
    "inventory": {"inventory.stock.v1", "inventory.lot.v1", "inventory.dlq.v1"},
    "dispatch": {"dispatch.job.v1", "dispatch.wave.v1", "dispatch.dlq.v1"},
    "access": {"access.principal.v1"},
    "observer": set(),
}
ALL = set().union(*READS.values(), *WRITES.values())
PRINCIPALS = sorted(READS)


def granted(principal: str, operation: str, prefix: str = "") -> set[str]:
    return {a.name for a in acls(prefix) if (a.principal, a.operation, a.resource) == (principal, operation, "topic")}


def test_the_lists_cover_every_topic_and_principal() -> None:
    assert set(BY_NAME) == ALL
    assert {acl.principal for acl in acls()} == set(READS) == {*SERVICES, ACCESS, OBSERVER}


@pytest.mark.parametrize("principal", PRINCIPALS)
@pytest.mark.parametrize("prefix", ["", "t7."])
def test_topics_are_read_and_written_by_the_list(principal: str, prefix: str) -> None:
    assert granted(principal, "READ", prefix) == {prefix + name for name in READS[principal]}
    assert granted(principal, "WRITE", prefix) == {prefix + name for name in WRITES[principal]}
    described = READS[principal] | WRITES[principal]
    assert granted(principal, "DESCRIBE", prefix) == {prefix + name for name in described}


def test_only_dispatch_reads_persons() -> None:
    readers = {p for p in PRINCIPALS if "orders.recipient.v1" in granted(p, "READ")}
    assert readers == {"dispatch"}
    assert BY_NAME["orders.recipient.v1"].private


def test_no_dead_letter_is_read_by_a_service() -> None:
    assert not any(name.endswith(".dlq.v1") for service in SERVICES for name in granted(service, "READ"))


def test_a_principal_uses_groups_of_its_own_prefix_only() -> None:
    groups = {acl for acl in acls("t7.") if acl.resource == "group"}
    assert groups == {Acl(p, "READ", "group", f"t7.{p}.", prefixed=True) for p in PRINCIPALS if READS[p]}


def test_nothing_else_is_granted() -> None:
    assert {acl.resource for acl in acls()} == {"topic", "group"}
    assert {acl.operation for acl in acls()} == {"READ", "WRITE", "DESCRIBE"}
    assert not any(acl.prefixed for acl in acls() if acl.resource == "topic")
    assert len(acls()) == len(set(acls()))


def test_every_record_has_one_writer() -> None:
    assert all(len(topic.writers) == 1 for topic in BY_NAME.values())
