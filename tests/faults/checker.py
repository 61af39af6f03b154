"""Judges a run from outside: the clients' history, the topics, the HTTP views, and nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.faults import check_orders, check_stock
from tests.faults.evidence import Evidence, Finding


def check(evidence: Evidence) -> list[Finding]:
    """Everything that must not be; empty when all guarantees hold and nothing is under way any more."""
    return [found for one in CHECKS for found in one(evidence)]


def one_content(e: Evidence) -> Iterator[Finding]:
    """An event id means one event, in every copy of it."""
    known: dict[str, tuple[str, str, str, int]] = {}
    for record in e.events:
        content = (record.topic, record.subject, record.digest, record.seq)
        if known.setdefault(record.id, content) != content:
            yield Finding("two contents of one event", record.id, f"{known[record.id]} and {content}")


def in_order(e: Evidence) -> Iterator[Finding]:
    """The first occurrences about a subject are numbered 1, 2, 3 ... in the order in which they stand in a topic."""
    numbers: dict[tuple[str, str], list[int]] = defaultdict(list)
    for record in e.facts:
        numbers[record.topic, record.subject].append(record.seq)
    for (topic, subject), found in numbers.items():
        if found != sorted(found):
            yield Finding("inversion", subject, f"{topic} has {_short(found)}")
        elif found != list(range(1, len(found) + 1)):
            yield Finding("hole", subject, f"{topic} has {_short(found)}")


def nothing_parked(e: Evidence) -> Iterator[Finding]:
    """Faults of the machinery never park anything."""
    yield from (
        Finding("parked", record.subject, f"on {record.topic}") for record in e.log if record.topic.endswith(".dlq.v1")
    )
    yield from (Finding("parked", one, "says a service") for one in e.views.parked)


def _short(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:12])) + (" ..." if len(numbers) > 12 else "")


CHECKS = (one_content, in_order, nothing_parked, *check_orders.CHECKS, *check_stock.CHECKS)
