"""Compares published events with each consumer's inbox, in both directions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from contracts.readers import listed
from contracts.registry import MODELS
from contracts.topics import BY_NAME, DEPLOYED, ORDERS, TOPICS
from deploy.audit.evidence.evidence import Evidence
from deploy.audit.finding import Finding

ERASED = "kit.erased"
"""The type of a tombstone."""


def processed(evidence: Evidence) -> Iterator[Finding]:
    """Every record of a type that a consumer handles is in that consumer's inbox, or is a dead letter."""
    done = _done(evidence)
    for (service, topic), types in sorted(_handled().items()):
        consumer = f"{service}.{topic}"
        for id, type, where in _published(evidence, topic):
            if type in types and id not in done[consumer]:
                yield Finding("inbox", id, f"{type} has not reached {service}", where)


def known(evidence: Evidence) -> Iterator[Finding]:
    """Every event in an inbox is on its topic.

    A public compacted topic drops replaced records, so it is not checked. An unreadable record has no event id of its
    own: the id in the inbox is that of its dead letter.
    """
    dead = {(row["consumer"], row["event_id"]) for _, row in evidence.dead_letters}
    checked = [topic.name for topic in TOPICS if topic.private or not topic.compacted]
    published = {topic: {id for id, _, _ in _published(evidence, topic)} for topic in checked}
    for service in DEPLOYED:
        for row in evidence.rows(service, "inbox"):
            topic = row["consumer"].partition(".")[2]
            if topic not in published or row["event_id"] in published[topic]:
                continue
            if (row["consumer"], row["event_id"]) not in dead:
                where = f"{service}.inbox of {row['consumer']}"
                yield Finding("inbox", row["event_id"], f"has taken effect but is not on {topic}", where)


def _published(evidence: Evidence, topic: str) -> Iterator[tuple[str, str, str]]:
    """Yield id, full type and place of each record of a topic; for the private one, which cannot be read, its
    archive.
    """
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
    for service in DEPLOYED:
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
