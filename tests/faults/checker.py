"""Judges a run from outside: from the clients' history, the topics and the HTTP views only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.faults import check_orders, check_stock
from tests.faults.evidence import Evidence, Finding


def check(evidence: Evidence) -> list[Finding]:
    """Return all violations; empty when every guarantee holds and nothing is in progress."""
    return [found for one in CHECKS for found in one(evidence)]


def one_content_per_event(e: Evidence) -> Iterator[Finding]:
    """An event id has one content, in every copy of the event."""
    known: dict[str, tuple[str, str, str, int]] = {}
    for record in e.events:
        content = (record.topic, record.subject, record.digest, record.seq)
        if known.setdefault(record.id, content) != content:
            yield Finding("two contents of one event", record.id, f"{known[record.id]} and {content}")


def numbered_in_order(e: Evidence) -> Iterator[Finding]:
    """The first occurrences of a subject's events are numbered 1, 2, 3 ... in topic order."""
    numbers: dict[tuple[str, str], list[int]] = defaultdict(list)
    for record in e.facts:
        numbers[record.topic, record.subject].append(record.seq)
    for (topic, subject), found in numbers.items():
        if found != sorted(found):
            yield Finding("out of order", subject, f"{topic} has {_short(found)}")
        elif found != list(range(1, len(found) + 1)):
            yield Finding("sequence gap", subject, f"{topic} has {_short(found)}")


def no_dead_letters(e: Evidence) -> Iterator[Finding]:
    """Infrastructure faults never dead-letter a message."""
    yield from (
        Finding("dead letter", record.subject, f"on {record.topic}")
        for record in e.log
        if record.topic.endswith(".dlq.v1")
    )
    yield from (Finding("dead letter", one, "in a service's list") for one in e.views.dead_letters)


def _short(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:12])) + (" ..." if len(numbers) > 12 else "")


CHECKS = (one_content_per_event, numbered_in_order, no_dead_letters, *check_orders.CHECKS, *check_stock.CHECKS)
