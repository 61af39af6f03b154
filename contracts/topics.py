"""Table of topics: owner, writers, readers, retention. The ACLs and the documentation are generated from it."""

from __future__ import annotations

from dataclasses import dataclass

RETENTION_MS = 60 * 24 * 3600 * 1000
ORDERS, INVENTORY, DISPATCH, ACCESS = "orders", "inventory", "dispatch", "access"
SERVICES = (ORDERS, INVENTORY, DISPATCH)
"""The services of the market. Access is none of them: it only issues credentials, and owns no fact of the market."""
DEPLOYED = (*SERVICES, ACCESS)
"""Every service of a stack: each has a database, a user of the broker and an outbox."""
OBSERVER = "observer"
"""Reads all public topics: the audit, the demo's observer and people who debug."""
ADMIN = "admin"
"""Super user of the broker: creates topics and permissions."""
TOPIC_KEYWORD = "x-topic"
"""Keyword in each schema for the topic of the type's records, so that a type without a class still has its topic."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic. Readers and writers are services; `keyed_by` names the Kafka key; `private` excludes the observer."""

    name: str
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    keyed_by: str
    partitions: int = 6
    compacted: bool = False
    private: bool = False

    @property
    def owner(self) -> str:
        """The service that owns the topic."""
        return self.name.split(".")[0]


@dataclass(frozen=True, slots=True)
class Acl:
    """One permission: a principal may do an operation on a topic or on the groups with a prefix."""

    principal: str
    operation: str
    resource: str
    name: str
    prefixed: bool = False


def _dlq(service: str) -> Topic:
    return Topic(f"{service}.dlq.v1", (service,), (), "scope", partitions=1)


TOPICS: tuple[Topic, ...] = (
    Topic("orders.catalog.v1", (ORDERS,), (INVENTORY, DISPATCH), "entity", partitions=1, compacted=True),
    Topic("orders.recipient.v1", (ORDERS,), (DISPATCH,), "order", compacted=True, private=True),
    Topic("orders.order.v1", (ORDERS,), (INVENTORY,), "order"),
    Topic("orders.campaign.v1", (ORDERS,), (), "campaign"),
    Topic("orders.stall.v1", (ORDERS,), (INVENTORY,), "terminal"),
    Topic("inventory.command.v1", (ORDERS,), (INVENTORY,), "pool"),
    Topic("inventory.stock.v1", (INVENTORY,), (ORDERS,), "pool"),
    Topic("inventory.lot.v1", (INVENTORY,), (ORDERS,), "lot"),
    Topic("dispatch.command.v1", (ORDERS,), (DISPATCH,), "order"),
    Topic("dispatch.job.v1", (DISPATCH,), (ORDERS, INVENTORY), "order"),
    Topic("dispatch.wave.v1", (DISPATCH,), (), "wave"),
    Topic("access.principal.v1", (ACCESS,), SERVICES, "entity", partitions=1, compacted=True),
    _dlq(ORDERS),
    _dlq(INVENTORY),
    _dlq(DISPATCH),
)
BY_NAME: dict[str, Topic] = {topic.name: topic for topic in TOPICS}


def acls(prefix: str = "") -> list[Acl]:
    """Return the permissions of every service and of the observer: exactly those that the table grants."""
    found = [
        Acl(writer, operation, "topic", prefix + topic.name)
        for topic in TOPICS
        for writer in topic.writers
        for operation in ("WRITE", "DESCRIBE")
    ]
    for topic in TOPICS:
        readers = topic.readers if topic.private else (*topic.readers, OBSERVER)
        found += [Acl(r, op, "topic", prefix + topic.name) for r in readers for op in ("READ", "DESCRIBE")]
    for service in (*SERVICES, OBSERVER):
        found.append(Acl(service, "READ", "group", f"{prefix}{service}.", prefixed=True))
    return list(dict.fromkeys(found))
