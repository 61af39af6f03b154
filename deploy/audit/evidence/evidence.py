"""Log and tables together, as facts for the invariants and in full for the checks of the transport."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from contracts.registry import MODELS
from contracts.topics import DEPLOYED
from deploy.audit.evidence.log import Log, Record
from deploy.audit.invariants.facts import Fact, Facts, Row, Tables, Topics

# Fields that name a subject about which services may disagree while a record about it is a dead letter.
_NAMES = ("order", "reservation", "job", "sale", "lot", "terminal")


class Evidence:
    """The log and the tables that the audit judges, and the facts that follow from both."""

    def __init__(self, log: Log, tables: Mapping[tuple[str, str], Sequence[Row]]) -> None:
        self.log = log
        self.tables = Tables(tables)

    def rows(self, service: str, table: str) -> Sequence[Row]:
        """Return the rows of a service's table."""
        return self.tables[service, table]

    @cached_property
    def topics(self) -> Topics:
        """The log in its order, and the records that are still in an outbox."""
        return Topics(self._records(), self._given_up())

    @cached_property
    def facts(self) -> Facts:
        """The facts for the invariants."""
        return Facts(topics=self.topics, tables=self.tables)

    def _records(self) -> Iterator[Fact]:
        for record in self.log.records:
            yield read(record.topic, record.headers, record.value, record.where, record)
        for service in DEPLOYED:
            for row in self.rows(service, "outbox"):
                yield read(row["topic"], json.loads(row["headers"]), row["payload"], f"{service}.outbox {row['id']}")

    def _given_up(self) -> Iterator[tuple[str, str, int]]:
        for _, row in self.dead_letters:
            if row["consumer"].endswith(".relay"):  # the broker refused it, and an operator may have discarded it
                refused = read(row["topic"], json.loads(row["headers"]), None, "")
                yield refused.topic, refused.subject, refused.seq

    @cached_property
    def by_place(self) -> Mapping[tuple[str, int, int], Record]:
        """The record at each topic, partition and offset."""
        return {(record.topic, record.partition, record.offset): record for record in self.log.records}

    @cached_property
    def dead_letters(self) -> list[tuple[str, Row]]:
        """Service and row of every dead letter, including discarded ones."""
        return [(service, row) for service in DEPLOYED for row in self.rows(service, "parked")]

    @cached_property
    def accounted(self) -> frozenset[str]:
        """Ids of subjects of dead letters: a dead letter explains that services disagree about them."""
        found: set[str] = set()
        for _, row in self.dead_letters:
            data = _data(row["payload"]) or {}
            found |= {row["scope"], json.loads(row["headers"]).get("ce_subject", "")}
            found |= {str(data[name]) for name in _NAMES if name in data}
        return frozenset(found - {""})


def read(
    topic: str, headers: Mapping[str, str], value: bytes | None, where: str, content: Record | None = None
) -> Fact:
    """Return a record as the contracts read it; not `readable` if they cannot, as for a dead letter.

    A record without an event id is named by its place.
    """
    full = headers.get("ce_type", "")
    model, seq = MODELS.get(full), headers.get("ce_seq", "")
    data: Mapping[str, Any] = {}
    readable = model is not None and value is not None and topic == model.TOPIC
    if readable:
        try:
            model.model_validate_json(value or b"")  # type: ignore[union-attr]
            data = json.loads(value or b"")
        except ValidationError:
            readable = False
    return Fact(
        id=headers.get("ce_id") or where,
        type=full.split(".")[2] if readable else full,
        topic=topic,
        subject=headers.get("ce_subject", ""),
        data=data,
        where=where,
        seq=int(seq) if seq.isdecimal() else 0,
        time=headers.get("ce_time", ""),
        cause=headers.get("ce_causationid", ""),
        content=content,
        readable=readable,
    )


def _data(value: bytes | None) -> dict[str, Any] | None:
    try:
        found = json.loads(value or b"null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
