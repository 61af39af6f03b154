"""The log by itself: numbers without holes, in order, one content for each event."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator

from contracts.topics import BY_NAME
from deploy.audit.evidence.evidence import Evidence, Published
from deploy.audit.evidence.log import Record
from deploy.audit.finding import Finding


def complete(evidence: Evidence) -> Iterator[Finding]:
    """Nothing can be folded from a log whose beginning is gone."""
    for (topic, partition), (begin, _) in sorted(evidence.log.spans.items()):
        if begin and not BY_NAME[topic].compacted:
            yield Finding("log", topic, f"begins at offset {begin}: what came before can't be proved", f"{partition}")


def contents(evidence: Evidence) -> Iterator[Finding]:
    """An event id has one content, however often it stands in the log."""
    first: dict[tuple[str, str], Record] = {}
    for record in evidence.log.records:
        known = first.setdefault((record.topic, record.id), record)
        if record.id and (known.value, known.key, known.headers) != (record.value, record.key, record.headers):
            yield Finding("content", record.id, f"differs from {known.where} under the same event id", record.where)


def readable(evidence: Evidence) -> Iterator[Finding]:
    """The committed contracts read every record, but for those that a consumer has parked or a later one replaced."""
    read = {(topic, fact.id) for topic, facts in evidence.facts.items() for fact in facts}
    parked = {(row["topic"], row["event_id"]) for _, row in evidence.dead_letters}
    parked |= {
        (row["topic"], f"{row['topic']}/{row['partition']}@{row['position']}") for _, row in evidence.dead_letters
    }
    known = read | parked | {(told.topic, told.id) for told in replaced(evidence)}
    for told in evidence.published:
        if (told.topic, told.id) not in known and not _is_dead_letter(told.topic):
            what = f"{told.headers.get('ce_type', 'a record without a type')} can't be read by its contract"
            yield Finding("content", told.id, what, told.where)


def replaced(evidence: Evidence) -> list[Published]:
    """Records that can't be read, of a compacted topic on which a later record of the same subject can.

    Each record of such a topic is its subject's whole state, so the latest alone counts.
    """
    latest: dict[tuple[str, str], Published] = {}
    unreadable: list[Published] = []
    for told in evidence.published:
        if told.topic in BY_NAME and BY_NAME[told.topic].compacted:
            latest[told.topic, told.subject] = told
            unreadable += [told] if told.read() is None else []
    return [told for told in unreadable if latest[told.topic, told.subject].read() is not None]


def _is_dead_letter(topic: str) -> bool:
    return topic.split(".")[1] == "dlq"


def numbers(evidence: Evidence) -> Iterator[Finding]:
    """First occurrences about a subject on a topic count from 1 without holes, and never step back in a partition.

    A compacted topic forgets, so it may have holes. A terminal's records lie in the partitions of its pools, which
    have no order among each other.
    """
    seen: dict[tuple[str, str], set[int]] = defaultdict(set)
    last: dict[tuple[str, str, str], int] = defaultdict(int)
    for told in (told for told in evidence.published if told.seq):
        about, place = (told.topic, told.subject), (told.topic, told.subject, told.where.partition("@")[0])
        if told.seq in seen[about]:
            yield Finding("seq", told.subject, f"has number {told.seq} twice under different event ids", told.where)
        elif told.seq < last[place]:
            yield Finding("seq", told.subject, f"has number {told.seq} after {last[place]}", told.where)
        seen[about].add(told.seq)
        last[place] = max(last[place], told.seq)
    for _, row in evidence.dead_letters:
        if row["consumer"].endswith(".relay"):  # the broker refused it, and an operator may have given it up
            refused = Published(row["topic"], json.loads(row["headers"]), None, "")
            seen[refused.topic, refused.subject].add(refused.seq)
    for (topic, subject), found in sorted(seen.items()):
        missing = sorted(set(range(1, max(found) + 1)) - found)
        if missing and not BY_NAME[topic].compacted:
            yield Finding("seq", subject, f"lacks number {missing[0]} of {max(found)}", topic)


def repeats(evidence: Evidence) -> int:
    """How many records stand in the log once more: what the inboxes absorb."""
    return len(evidence.log.records) - len({(record.topic, record.id) for record in evidence.log.records})
