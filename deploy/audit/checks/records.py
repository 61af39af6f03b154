"""The log by itself: numbers without holes, in order, one content for each event."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from contracts.topics import BY_NAME
from deploy.audit.evidence import Evidence
from deploy.audit.finding import Finding
from deploy.audit.log import Record


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


def numbers(evidence: Evidence) -> Iterator[Finding]:
    """First occurrences about a subject on a topic count from 1 without holes, and never step back in a partition.

    A compacted topic forgets, so it may have holes. A terminal's records lie in the partitions of its pools, which
    have no order among each other.
    """
    seen: dict[tuple[str, str], set[int]] = defaultdict(set)
    last: dict[tuple[str, str, str], int] = {}
    for topic, facts in sorted(evidence.facts.items()):
        for fact in facts:
            partition = fact.where.partition("@")[0]
            before = last.get((topic, fact.subject, partition), 0)
            if fact.seq in seen[topic, fact.subject]:
                yield Finding("seq", fact.subject, f"has number {fact.seq} twice under different event ids", fact.where)
            elif fact.seq < before:
                yield Finding("seq", fact.subject, f"has number {fact.seq} after {before}", fact.where)
            seen[topic, fact.subject].add(fact.seq)
            last[topic, fact.subject, partition] = max(before, fact.seq)
    for (topic, subject), found in sorted(seen.items()):
        missing = sorted(set(range(1, max(found) + 1)) - found)
        if missing and not BY_NAME[topic].compacted:
            yield Finding("seq", subject, f"lacks number {missing[0]} of {max(found)}", topic)


def repeats(evidence: Evidence) -> int:
    """How many records stand in the log once more: what the inboxes absorb."""
    return len(evidence.log.records) - len({(record.topic, record.id) for record in evidence.log.records})
