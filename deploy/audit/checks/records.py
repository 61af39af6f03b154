"""The log is complete, and the contracts read every record."""

from __future__ import annotations

from collections.abc import Iterator

from contracts.topics import BY_NAME
from deploy.audit.evidence.evidence import Evidence
from deploy.audit.finding import Finding
from deploy.audit.invariants.events import is_dead_letter
from deploy.audit.invariants.facts import Fact


def complete(evidence: Evidence) -> Iterator[Finding]:
    """The log of each topic still has its beginning; without it no state can be computed."""
    for (topic, partition), (begin, _) in sorted(evidence.log.spans.items()):
        if begin and not BY_NAME[topic].compacted:
            yield Finding("log", topic, f"begins at offset {begin}: earlier records can't be checked", f"{partition}")


def readable(evidence: Evidence) -> Iterator[Finding]:
    """The committed contracts read every record, except dead letters and records that a later one replaced."""
    dead = {(row["topic"], row["event_id"]) for _, row in evidence.dead_letters}
    dead |= {(row["topic"], f"{row['topic']}/{row['partition']}@{row['position']}") for _, row in evidence.dead_letters}
    known = dead | {(event.topic, event.id) for event in replaced(evidence)}
    for event in evidence.topics.events:
        if not event.readable and (event.topic, event.id) not in known and not is_dead_letter(event.topic):
            what = f"{event.type or 'a record without a type'} can't be read by its contract"
            yield Finding("content", event.id, what, event.where)


def replaced(evidence: Evidence) -> list[Fact]:
    """Return unreadable records of a compacted topic that has a later, readable record of the same subject.

    Each record of such a topic is its subject's whole state, so only the latest counts.
    """
    latest: dict[tuple[str, str], Fact] = {}
    unreadable: list[Fact] = []
    for event in evidence.topics.events:
        if event.topic in BY_NAME and BY_NAME[event.topic].compacted:
            latest[event.topic, event.subject] = event
            unreadable += [] if event.readable else [event]
    return [event for event in unreadable if latest[event.topic, event.subject].readable]
