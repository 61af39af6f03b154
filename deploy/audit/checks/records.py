"""The log by itself: complete numbering, in order, and one content per event."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator

from contracts.topics import BY_NAME
from deploy.audit.evidence.evidence import Evidence, Published
from deploy.audit.evidence.log import Record
from deploy.audit.finding import Finding


def complete(evidence: Evidence) -> Iterator[Finding]:
    """The log of each topic still has its beginning; without it no state can be computed."""
    for (topic, partition), (begin, _) in sorted(evidence.log.spans.items()):
        if begin and not BY_NAME[topic].compacted:
            yield Finding("log", topic, f"begins at offset {begin}: earlier records can't be checked", f"{partition}")


def contents(evidence: Evidence) -> Iterator[Finding]:
    """An event id has one content, however often it is in the log."""
    first: dict[tuple[str, str], Record] = {}
    for record in evidence.log.records:
        known = first.setdefault((record.topic, record.id), record)
        if record.id and (known.value, known.key, known.headers) != (record.value, record.key, record.headers):
            yield Finding("content", record.id, f"differs from {known.where} under the same event id", record.where)


def readable(evidence: Evidence) -> Iterator[Finding]:
    """The committed contracts read every record, except dead letters and records that a later one replaced."""
    read = {(topic, fact.id) for topic, facts in evidence.facts.items() for fact in facts}
    dead = {(row["topic"], row["event_id"]) for _, row in evidence.dead_letters}
    dead |= {(row["topic"], f"{row['topic']}/{row['partition']}@{row['position']}") for _, row in evidence.dead_letters}
    known = read | dead | {(event.topic, event.id) for event in replaced(evidence)}
    for event in evidence.published:
        if (event.topic, event.id) not in known and not _is_dead_letter(event.topic):
            what = f"{event.headers.get('ce_type', 'a record without a type')} can't be read by its contract"
            yield Finding("content", event.id, what, event.where)


def replaced(evidence: Evidence) -> list[Published]:
    """Return unreadable records of a compacted topic that has a later, readable record of the same subject.

    Each record of such a topic is its subject's whole state, so only the latest counts.
    """
    latest: dict[tuple[str, str], Published] = {}
    unreadable: list[Published] = []
    for event in evidence.published:
        if event.topic in BY_NAME and BY_NAME[event.topic].compacted:
            latest[event.topic, event.subject] = event
            unreadable += [event] if event.read() is None else []
    return [event for event in unreadable if latest[event.topic, event.subject].read() is not None]


def _is_dead_letter(topic: str) -> bool:
    return topic.split(".")[1] == "dlq"


def numbers(evidence: Evidence) -> Iterator[Finding]:
    """Sequence numbers of a subject on a topic count from 1 without gaps, and never decrease within a partition.

    A compacted topic drops records, so it may have gaps. A terminal's records are in the partitions of its pools, which
    have no order among each other. Repeats are left out.
    """
    seen: dict[tuple[str, str], set[int]] = defaultdict(set)
    last: dict[tuple[str, str, str], int] = defaultdict(int)
    for event in (event for event in evidence.published if event.seq):
        about, place = (event.topic, event.subject), (event.topic, event.subject, event.where.partition("@")[0])
        if event.seq in seen[about]:
            yield Finding("seq", event.subject, f"has number {event.seq} twice under different event ids", event.where)
        elif event.seq < last[place]:
            yield Finding("seq", event.subject, f"has number {event.seq} after {last[place]}", event.where)
        seen[about].add(event.seq)
        last[place] = max(last[place], event.seq)
    for _, row in evidence.dead_letters:
        if row["consumer"].endswith(".relay"):  # the broker refused it, and an operator may have discarded it
            refused = Published(row["topic"], json.loads(row["headers"]), None, "")
            seen[refused.topic, refused.subject].add(refused.seq)
    for (topic, subject), found in sorted(seen.items()):
        missing = sorted(set(range(1, max(found) + 1)) - found)
        if missing and not BY_NAME[topic].compacted:
            yield Finding("seq", subject, f"lacks number {missing[0]} of {max(found)}", topic)


def repeats(evidence: Evidence) -> int:
    """Return the number of repeated records in the log, which inboxes drop."""
    return len(evidence.log.records) - len({(record.topic, record.id) for record in evidence.log.records})
