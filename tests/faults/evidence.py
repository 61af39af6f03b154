"""The evidence of a run, and the findings of its checks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tests.faults.history import HistoryEntry
from tests.faults.observer import ObservedRecord

Row = Mapping[str, Any]
Goods = tuple[str, str]
"""A pool and an item."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A violation: the name of its check, its subject, and a description."""

    check: str
    subject: str
    what: str


@dataclass(frozen=True, slots=True)
class Views:
    """Data that the services show over HTTP: orders and jobs by id, stock by pool and item, all dead letters."""

    orders: Mapping[str, Row] = field(default_factory=dict)
    jobs: Mapping[str, Row] = field(default_factory=dict)
    stock: Mapping[Goods, Row] = field(default_factory=dict)
    dead_letters: Sequence[str] = ()


@dataclass(frozen=True)
class Evidence:
    """The clients' history, the topics and the views. `scarce`: items with more demand than stock."""

    entries: Sequence[HistoryEntry]
    log: Sequence[ObservedRecord]
    views: Views
    scarce: frozenset[str] = frozenset()

    @cached_property
    def events(self) -> list[ObservedRecord]:
        """Every record except those of dead-letter topics."""
        return [record for record in self.log if not record.topic.endswith(".dlq.v1")]

    @cached_property
    def facts(self) -> list[ObservedRecord]:
        """Every event at its first occurrence."""
        found: dict[str, ObservedRecord] = {}
        for record in self.events:
            found.setdefault(record.id, record)
        return list(found.values())

    @property
    def duplicates(self) -> int:
        """Number of records that repeat an earlier event."""
        return len(self.events) - len(self.facts)

    @cached_property
    def _by_type(self) -> dict[str, list[ObservedRecord]]:
        found: dict[str, list[ObservedRecord]] = defaultdict(list)
        for record in self.facts:
            found[record.type].append(record)
        return found

    def of(self, *types: str) -> Iterator[ObservedRecord]:
        """Yield the facts of these types, each type in order."""
        for type in types:
            yield from self._by_type[type]

    def entries_of(self, kind: str) -> Iterator[HistoryEntry]:
        """Yield the operations of a kind."""
        return (entry for entry in self.entries if entry.operation.kind == kind)


def group_by(key: str, facts: Iterator[ObservedRecord]) -> dict[str, list[ObservedRecord]]:
    """Group facts by a field of their data."""
    found: dict[str, list[ObservedRecord]] = defaultdict(list)
    for record in facts:
        found[str(record.data[key])].append(record)
    return found
