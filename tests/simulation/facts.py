"""Facts of a committed transaction, read from its outbox rows alone, as a consumer of the topics would read them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from services.kit.transaction.outbox import Row
from tests.simulation.memory import GONE, Transaction


@dataclass(frozen=True, slots=True)
class Fact:
    """One event or command; `kind` is the short type such as `stock-reserved`, `cause` the record that caused it."""

    id: UUID
    topic: str
    key: str
    kind: str
    subject: str
    seq: int
    cause: str | None
    data: dict[str, Any]

    @classmethod
    def of(cls, row: Row) -> Fact:
        kind = row.headers["ce_type"].removeprefix("market.").rpartition(".")[0].partition(".")[2]
        data = orjson.loads(row.payload) if row.payload else {}
        seq, cause = int(row.headers["ce_seq"]), row.headers.get("ce_causationid")
        return cls(row.event_id, row.topic, row.key, kind or row.headers["ce_type"], row.subject, seq, cause, data)


def facts_of(transaction: Transaction) -> Iterator[Fact]:
    """Yield the facts of a transaction, in order."""
    for row in transaction.writes.get("outbox", {}).values():
        if row is not GONE:
            yield Fact.of(row)
