"""Log and books side by side, prepared for the checks."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from contracts.topics import SERVICES
from deploy.audit.books import Books, Row
from deploy.audit.log import Log, Record

# Fields of an event that name a thing whose books may differ while a record about it is parked.
_NAMES = ("order", "reservation", "job", "sale", "lot", "terminal")


@dataclass(frozen=True, slots=True)
class Fact:
    """An event that was told: the first occurrence of its id. `type` is its short name, such as `order-placed`;
    `cause` is the id of the record that led to it.
    """

    id: str
    type: str
    topic: str
    subject: str
    seq: int
    time: str
    cause: str
    data: Mapping[str, Any]
    where: str


class Evidence:
    """What the audit judges: the log, the books, and the facts that both together tell."""

    def __init__(self, log: Log, books: Books) -> None:
        self.log = log
        self.books = books

    def rows(self, service: str, table: str) -> list[Row]:
        """The rows of a service's table."""
        return self.books[service, table]

    def grouped(self, service: str, table: str, column: str) -> Mapping[str, list[Row]]:
        """The rows of a table by one of its columns; nothing for a value that it hasn't."""
        found: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows(service, table):
            found[row[column]].append(row)
        return found

    @cached_property
    def facts(self) -> Mapping[str, list[Fact]]:
        """By topic: each event once, in order of the log, then those that still wait in an outbox, in its order."""
        found: dict[str, list[Fact]] = defaultdict(list)
        seen: set[str] = set()
        for fact in self._told():
            if fact.id not in seen:
                seen.add(fact.id)
                found[fact.topic].append(fact)
        return found

    def _told(self) -> Iterator[Fact]:
        for record in self.log.records:
            if (fact := read_fact(record.topic, record.headers, record.value, record.where)) is not None:
                yield fact
        for service in SERVICES:
            for row in self.rows(service, "outbox"):
                where = f"{service}.outbox {row['id']}"
                if (fact := read_fact(row["topic"], json.loads(row["headers"]), row["payload"], where)) is not None:
                    yield fact

    @cached_property
    def by_place(self) -> Mapping[tuple[str, int, int], Record]:
        """The record at each topic, partition and offset."""
        return {(record.topic, record.partition, record.offset): record for record in self.log.records}

    @cached_property
    def parked(self) -> list[tuple[str, Row]]:
        """The service and row of every parked record, those that were given up too."""
        return [(service, row) for service in SERVICES for row in self.rows(service, "parked")]

    @cached_property
    def accounted(self) -> frozenset[str]:
        """Ids of things that a parked record is about: that services disagree about them is explained by it."""
        found: set[str] = set()
        for _, row in self.parked:
            data = _data(row["payload"]) or {}
            found |= {row["scope"], json.loads(row["headers"]).get("ce_subject", "")}
            found |= {str(data[name]) for name in _NAMES if name in data}
        return frozenset(found - {""})


def read_fact(topic: str, headers: Mapping[str, str], value: bytes | None, where: str) -> Fact | None:
    """The event in a record; None for one that is none, such as a dead letter, or that can't be read."""
    data = _data(value)
    words = headers.get("ce_type", "").split(".")
    if data is None or len(words) != 4 or topic.split(".")[1] == "dlq":
        return None
    try:
        seq = int(headers.get("ce_seq", "0"))
    except ValueError:
        return None
    return Fact(
        headers.get("ce_id", ""),
        words[2],
        topic,
        headers.get("ce_subject", ""),
        seq,
        headers.get("ce_time", ""),
        headers.get("ce_causationid", ""),
        data,
        where,
    )


def _data(value: bytes | None) -> dict[str, Any] | None:
    try:
        found = json.loads(value or b"null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
