"""What a run left behind, and what a check says about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tests.faults.history import Op
from tests.faults.observer import Seen

Row = Mapping[str, Any]
Goods = tuple[str, str]
"""A pool and an item."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not be: which check says so, of whom, and what."""

    check: str
    subject: str
    what: str


@dataclass(frozen=True, slots=True)
class Views:
    """What the services say over HTTP: orders and jobs by id, stock by pool and item, whatever is parked."""

    orders: Mapping[str, Row] = field(default_factory=dict)
    jobs: Mapping[str, Row] = field(default_factory=dict)
    stock: Mapping[Goods, Row] = field(default_factory=dict)
    parked: Sequence[str] = ()


@dataclass(frozen=True)
class Evidence:
    """The clients' history, the topics, the views; `scarce` items are wanted by more buyers than there is of them."""

    ops: Sequence[Op]
    log: Sequence[Seen]
    views: Views
    scarce: frozenset[str] = frozenset()

    @cached_property
    def events(self) -> list[Seen]:
        """Every record but the copies of parked ones."""
        return [seen for seen in self.log if not seen.topic.endswith(".dlq.v1")]

    @cached_property
    def facts(self) -> list[Seen]:
        """Every event where it stands first."""
        found: dict[str, Seen] = {}
        for seen in self.events:
            found.setdefault(seen.id, seen)
        return list(found.values())

    @property
    def duplicates(self) -> int:
        """Records whose event stands earlier in the topics."""
        return len(self.events) - len(self.facts)

    @cached_property
    def _by_type(self) -> dict[str, list[Seen]]:
        found: dict[str, list[Seen]] = defaultdict(list)
        for seen in self.facts:
            found[seen.type].append(seen)
        return found

    def of(self, *types: str) -> Iterator[Seen]:
        """The facts of these types, each type in order."""
        for type in types:
            yield from self._by_type[type]

    def done(self, kind: str) -> Iterator[Op]:
        """The operations of a kind."""
        return (op for op in self.ops if op.deed.kind == kind)


def by(key: str, facts: Iterator[Seen]) -> dict[str, list[Seen]]:
    """The facts by a field of their data."""
    found: dict[str, list[Seen]] = defaultdict(list)
    for seen in facts:
        found[str(seen.data[key])].append(seen)
    return found
