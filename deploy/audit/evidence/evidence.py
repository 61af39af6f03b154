"""Log and tables together, prepared for the checks."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

from pydantic import ValidationError

from contracts.registry import MODELS
from contracts.topics import SERVICES
from deploy.audit.evidence.log import Log, Record
from deploy.audit.evidence.tables import Row, Tables

# Fields that name a subject about which services may disagree while a record about it is a dead letter.
_NAMES = ("order", "reservation", "job", "sale", "lot", "terminal")


@dataclass(frozen=True, slots=True)
class Fact:
    """An event by its short name, such as `order-placed`, with its fields; `cause` is the id of the record that caused
    it.
    """

    id: str
    type: str
    topic: str
    subject: str
    time: str
    cause: str
    data: Mapping[str, Any]
    where: str


@dataclass(frozen=True, slots=True)
class Published:
    """A record in the log, or still in an outbox."""

    topic: str
    headers: Mapping[str, str]
    value: bytes | None
    where: str

    @property
    def id(self) -> str:
        """The event's id; the place of a record that has none."""
        return self.headers.get("ce_id") or self.where

    @property
    def subject(self) -> str:
        """The id of the thing that the event is about."""
        return self.headers.get("ce_subject", "")

    @property
    def seq(self) -> int:
        """The event's sequence number for its subject on its topic; 0 without one."""
        text = self.headers.get("ce_seq", "")
        return int(text) if text.isdecimal() else 0

    def read(self) -> Fact | None:
        """Return the event as the contracts read it; None if they cannot, as for a dead letter."""
        model = MODELS.get(self.headers.get("ce_type", ""))
        if model is None or self.value is None or self.topic != model.TOPIC:
            return None
        try:
            model.model_validate_json(self.value)
        except ValidationError:
            return None
        time, cause = self.headers.get("ce_time", ""), self.headers.get("ce_causationid", "")
        name, data = model.TYPE.split(".")[2], json.loads(self.value)
        return Fact(self.id, name, self.topic, self.subject, time, cause, data, self.where)


class Evidence:
    """The log and the tables that the audit judges, and the facts that follow from both."""

    def __init__(self, log: Log, tables: Tables) -> None:
        self.log = log
        self.tables = tables

    def rows(self, service: str, table: str) -> list[Row]:
        """Return the rows of a service's table."""
        return self.tables[service, table]

    def grouped(self, service: str, table: str, column: str) -> Mapping[str, list[Row]]:
        """Return the rows of a table by the value of a column; an empty list for a value without rows."""
        found: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows(service, table):
            found[row[column]].append(row)
        return found

    @cached_property
    def published(self) -> list[Published]:
        """Each event once: in log order, then those still in an outbox, in its order."""
        logged = (Published(r.topic, r.headers, r.value, r.where) for r in self.log.records)
        waiting = (
            Published(row["topic"], json.loads(row["headers"]), row["payload"], f"{service}.outbox {row['id']}")
            for service in SERVICES
            for row in self.rows(service, "outbox")
        )
        found: dict[tuple[str, str], Published] = {}
        for event in chain(logged, waiting):
            found.setdefault((event.topic, event.id), event)
        return list(found.values())

    @cached_property
    def facts(self) -> Mapping[str, list[Fact]]:
        """Published events by topic, as far as the contracts can read them."""
        found: dict[str, list[Fact]] = defaultdict(list)
        for event in self.published:
            if (fact := event.read()) is not None:
                found[fact.topic].append(fact)
        return found

    @cached_property
    def by_place(self) -> Mapping[tuple[str, int, int], Record]:
        """The record at each topic, partition and offset."""
        return {(record.topic, record.partition, record.offset): record for record in self.log.records}

    @cached_property
    def dead_letters(self) -> list[tuple[str, Row]]:
        """Service and row of every dead letter, including discarded ones."""
        return [(service, row) for service in SERVICES for row in self.rows(service, "parked")]

    @cached_property
    def accounted(self) -> frozenset[str]:
        """Ids of subjects of dead letters: a dead letter explains that services disagree about them."""
        found: set[str] = set()
        for _, row in self.dead_letters:
            data = _data(row["payload"]) or {}
            found |= {row["scope"], json.loads(row["headers"]).get("ce_subject", "")}
            found |= {str(data[name]) for name in _NAMES if name in data}
        return frozenset(found - {""})


def _data(value: bytes | None) -> dict[str, Any] | None:
    try:
        found = json.loads(value or b"null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
