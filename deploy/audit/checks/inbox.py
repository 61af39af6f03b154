"""What was told against what the consumers have dealt with, both ways."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from contracts.readers import listed
from contracts.registry import MODELS
from contracts.topics import BY_NAME, ORDERS, SERVICES, TOPICS
from deploy.audit.evidence.evidence import Evidence
from deploy.audit.finding import Finding

ERASED = "kit.erased"
"""The type of a tombstone."""


def processed(evidence: Evidence) -> Iterator[Finding]:
    """Every record whose type a consumer handles is in that consumer's inbox, or parked."""
    done = _done(evidence)
    for (service, topic), types in sorted(_handled().items()):
        consumer = f"{service}.{topic}"
        for id, type, where in _told(evidence, topic):
            if type in types and id not in done[consumer]:
                yield Finding("inbox", id, f"{type} has not reached {service}", where)


def known(evidence: Evidence) -> Iterator[Finding]:
    """No inbox names an event that its topic does not have.

    A compacted topic that anybody may look at forgets what was replaced; there the question is not asked. What could
    not be read has no event id of its own: it is parked, and named there.
    """
    parked = {(row["consumer"], row["event_id"]) for _, row in evidence.dead_letters}
    asked = [topic.name for topic in TOPICS if topic.private or not topic.compacted]
    told = {topic: {id for id, _, _ in _told(evidence, topic)} for topic in asked}
    for service in SERVICES:
        for row in evidence.rows(service, "inbox"):
            topic = row["consumer"].partition(".")[2]
            if topic not in told or row["event_id"] in told[topic]:
                continue
            if (row["consumer"], row["event_id"]) not in parked:
                where = f"{service}.inbox of {row['consumer']}"
                yield Finding("inbox", row["event_id"], f"has taken effect but does not stand in {topic}", where)


def _told(evidence: Evidence, topic: str) -> Iterator[tuple[str, str, str]]:
    """Id, full type and place of what stands in a topic. The private one can't be read: its archive stands for it."""
    if BY_NAME[topic].private:
        for row in evidence.rows(ORDERS, "outbox_sent"):
            if row["topic"] == topic:
                yield row["event_id"], row["type"], f"{topic}/{row['partition']}@{row['position']}"
        return
    for record in evidence.log.records:
        if record.topic == topic:
            yield record.id, record.headers.get("ce_type", ""), record.where


def _done(evidence: Evidence) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for service in SERVICES:
        for table in ("inbox", "parked"):
            for row in evidence.rows(service, table):
                found[row["consumer"]].add(row["event_id"])
    return found


def _handled() -> dict[tuple[str, str], set[str]]:
    """(service, topic) to the full types that the service says it reads there."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for service, reads in listed().items():
        for name in reads:
            type = f"market.{name}"
            found[service, MODELS[type].TOPIC].add(type)
            if BY_NAME[MODELS[type].TOPIC].private:
                found[service, MODELS[type].TOPIC].add(ERASED)
    return found
