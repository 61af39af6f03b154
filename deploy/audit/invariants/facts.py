"""Facts about a market, in one shape for all who judge it: the audit, the fault tests and the simulation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

Row: TypeAlias = Mapping[str, Any]
Goods: TypeAlias = tuple[str, str]
"""A pool and an item."""


@dataclass(frozen=True, slots=True)
class Fact:
    """An event or command by its short name, such as `order-placed`, with its fields.

    `data` is None where the contracts cannot read the record; `type` is the full one then. `cause` is the id of the
    record that caused it, `place` and `where` name its partition and record. Copies of a record have equal `content`.
    """

    id: str
    type: str
    topic: str
    subject: str
    data: Mapping[str, Any]
    where: str
    seq: int = 0
    time: str = ""
    cause: str = ""
    content: object = None
    readable: bool = True

    @property
    def place(self) -> str:
        """The partition; records of one partition are in order."""
        return self.where.partition("@")[0]


class Topics:
    """The records of all public topics: `events` has each once, where it occurs first, and `repeats` its other copies.

    Records of a partition are in order. Those of different partitions are in order only where the reader knows it.
    `given_up`: topic, subject and number of records that were never published.
    """

    def __init__(self, records: Iterable[Fact], given_up: Iterable[tuple[str, str, int]] = ()) -> None:
        known: dict[tuple[str, str], Fact] = {}
        self.repeats: list[tuple[Fact, Fact]] = []
        self.given_up = tuple(given_up)
        self._by_topic: dict[str, list[Fact]] = defaultdict(list)
        self._by_type: dict[str, list[Fact]] = defaultdict(list)
        for fact in records:
            first = known.setdefault((fact.topic, fact.id), fact)
            if first is not fact:
                self.repeats.append((first, fact))
            elif fact.readable:
                self._by_topic[fact.topic].append(fact)
                self._by_type[fact.type].append(fact)
        self.events = list(known.values())

    def __getitem__(self, topic: str) -> Sequence[Fact]:
        """Return the readable events of a topic, in order."""
        return self._by_topic.get(topic, ())

    def of(self, *types: str) -> Iterator[Fact]:
        """Yield the readable events of these types, each type in order."""
        for type in types:
            yield from self._by_type.get(type, ())

    def grouped(self, field: str, *types: str) -> dict[str, list[Fact]]:
        """Return the readable events of these types by a field of theirs."""
        found: dict[str, list[Fact]] = defaultdict(list)
        for fact in self.of(*types):
            found[str(fact.data[field])].append(fact)
        return found


class Tables(dict[tuple[str, str], Sequence[Row]]):
    """Rows by service and table, all of one instant. Ids are text; columns are those of `evidence/tables.py`."""

    def rows(self, service: str, table: str) -> Sequence[Row]:
        """Return the rows of a table."""
        return self[service, table]

    def grouped(self, service: str, table: str, column: str) -> Mapping[str, list[Row]]:
        """Return the rows of a table by the value of a column; an empty list for a value without rows."""
        found: dict[str, list[Row]] = defaultdict(list)
        for row in self[service, table]:
            found[row[column]].append(row)
        return found


class Outcome(StrEnum):
    """An operation's outcome as its client knows it."""

    OK = "ok"
    FAIL = "fail"
    UNKNOWN = "info"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a client: `subject` is the order, terminal or courier, `data` the request. All its attempts are
    the same.
    """

    id: str
    kind: str
    subject: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class HistoryEntry:
    """An operation with its outcome: unknown when any attempt is unknown and none succeeded.

    `answer` holds the facts of the successful answer, `unknowns` the number of attempts without an answer.
    """

    operation: Operation
    outcome: Outcome = Outcome.UNKNOWN
    answer: Mapping[str, Any] = field(default_factory=dict)
    tries: int = 0
    unknowns: int = 0


class History(list[HistoryEntry]):
    """Every operation of every client, in order of their start."""

    def of(self, kind: str, *outcomes: Outcome) -> Iterator[HistoryEntry]:
        """Yield the operations of a kind; only those with one of the outcomes, if any is given."""
        return (one for one in self if one.operation.kind == kind and (not outcomes or one.outcome in outcomes))


@dataclass(frozen=True, slots=True)
class Views:
    """Data that the services show over HTTP: orders and jobs by id, stock by pool and item, all dead letters."""

    orders: Mapping[str, Row] = field(default_factory=dict)
    jobs: Mapping[str, Row] = field(default_factory=dict)
    stock: Mapping[Goods, Row] = field(default_factory=dict)
    dead_letters: Sequence[str] = ()


@dataclass(frozen=True)
class Facts:
    """Everything that is known of a market; None where its reader has no access."""

    topics: Topics | None = None
    tables: Tables | None = None
    history: History | None = None
    views: Views | None = None
