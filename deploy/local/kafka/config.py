"""The broker's configuration: one KRaft node with SCRAM users and an authorizer that denies by default."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contracts.topics import ADMIN

DAYS_KEPT = 60

# Most of these shrink a broker that was sized for a rack. The short session matters most: after a kill -9 a
# node waits until its own old registration expires (1 s here, 9 s by default) before it starts. A broker that starts
# reads the log of the groups' offsets before consumers can join: short segments let it be compacted early, to the last
# offset of each group, instead of after 100 MB.
FIXED = f"""
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
listener.security.protocol.map=CLIENT:SASL_PLAINTEXT,INTERNAL:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT
inter.broker.listener.name=INTERNAL
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
sasl.mechanism.controller.protocol=PLAIN
listener.name.controller.sasl.enabled.mechanisms=PLAIN
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:{ADMIN}
allow.everyone.if.no.acl.found=false
auto.create.topics.enable=false
log.retention.hours={DAYS_KEPT * 24}
offsets.retention.minutes={DAYS_KEPT * 24 * 60}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
offsets.topic.segment.bytes=1048576
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=2
background.threads=2
broker.session.timeout.ms=1000
broker.heartbeat.interval.ms=250
"""

_LOGIN = 'org.apache.kafka.common.security.{module} required username="{user}" password="{password}"{more};'


@dataclass(frozen=True)
class Listeners:
    """Three ports: for clients, on the address `host`; for the broker itself and the controller, on 127.0.0.1."""

    client: int
    internal: int
    controller: int
    host: str = "127.0.0.1"


def properties(logs: Path, listeners: Listeners, admin_password: str) -> str:
    """Return the text of server.properties for a broker with its log segments in `logs`."""
    scram = _LOGIN.format(module="scram.ScramLoginModule", user=ADMIN, password=admin_password, more="")
    plain = _LOGIN.format(
        module="plain.PlainLoginModule",
        user=ADMIN,
        password=admin_password,
        more=f' user_{ADMIN}="{admin_password}"',  # SCRAM users live in the log that the controller reads first
    )
    bound = {
        "CLIENT": f"CLIENT://{listeners.host}:{listeners.client}",
        "INTERNAL": f"INTERNAL://127.0.0.1:{listeners.internal}",
        "CONTROLLER": f"CONTROLLER://127.0.0.1:{listeners.controller}",
    }
    return FIXED + "".join(
        f"{key}={value}\n"
        for key, value in {
            "listeners": ",".join(bound.values()),
            "advertised.listeners": f"{bound['CLIENT']},{bound['INTERNAL']}",
            "controller.quorum.voters": f"1@127.0.0.1:{listeners.controller}",
            "log.dirs": logs,
            "listener.name.client.scram-sha-512.sasl.jaas.config": scram,
            "listener.name.internal.scram-sha-512.sasl.jaas.config": scram,
            "listener.name.controller.plain.sasl.jaas.config": plain,
        }.items()
    )


def check_users(users: Mapping[str, str]) -> None:
    """Raise ValueError unless `users` has an admin and no name or password needs quoting."""
    if ADMIN not in users:
        raise ValueError(f"the broker needs a user named {ADMIN}")
    for name, password in users.items():
        if not re.fullmatch(r"[a-z][a-z0-9-]*", name) or not re.fullmatch(r"[A-Za-z0-9_-]+", password):
            raise ValueError(f"Kafka user {name!r}: letters, digits, '-' (and '_' in passwords) only")
