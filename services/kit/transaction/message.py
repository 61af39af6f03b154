"""Messages for handlers: a record as it is in the log, its envelope, and its data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID

from contracts.envelope import Envelope

E = TypeVar("E", covariant=True)
DEADLINE_REACHED, ERASED = "kit.due", "kit.erased"


class Record(NamedTuple):
    """One record of a topic named without the deployment's prefix; header bytes that are not UTF-8 are replaced."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class DeadlineReached:
    """The data of a deadline that fired. It may be late and the aggregate may have changed: compare `version`."""

    kind: str
    subject: str
    version: int
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Erased:
    """The data of a tombstone: the state of this key of a compacted topic has to be erased."""

    key: str


class Message(NamedTuple, Generic[E]):
    """A record that was parsed. `id` is the same at every delivery of the same event."""

    envelope: Envelope
    data: E
    record: Record

    @property
    def id(self) -> UUID:
        """The event's id, which the inbox records."""
        return self.envelope.id

    @property
    def type(self) -> str:
        """The full type, e.g. `market.orders.order-placed.v1`."""
        return self.envelope.type

    @property
    def subject(self) -> str:
        """The record's subject, which is the scope that its dead letter blocks."""
        return self.envelope.subject

    @property
    def key(self) -> str:
        """The Kafka key as text: records with the same key arrive in order."""
        return (self.record.key or b"").decode(errors="replace")

    @property
    def time(self) -> datetime:
        """Business time of the decision in the sender's transaction."""
        return self.envelope.time
