"""A record on its way to a handler: parsed, or with the fault that prevents it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
from pydantic import ValidationError

from contracts.topics import BY_NAME
from services.kit.ids import Namespace
from services.kit.telemetry.redaction import flaws
from services.kit.transaction.message import Message, Record

Handler = Callable[[Any, Message[Any]], None]
_UNREADABLE = Namespace("unreadable")
# A scope is part of an index key, so a stranger's header must stay short.
SCOPE_LIMIT = 400


class Delivery(NamedTuple):
    """A record with the scope that a dead letter of it blocks. It queues when any scope of `behind` is blocked, unless
    it `replaces` the dead letters there.

    A `fault` is the reason for which it must be dead-lettered; `attempts` counts the tries of its handler.
    """

    record: Record
    id: UUID
    scope: str
    behind: frozenset[str]
    message: Message[Any] | None = None
    handler: Handler | None = None
    fault: str | None = None
    attempts: int = 0

    @property
    def replaces(self) -> bool:
        """Return true if it makes the dead letters before it obsolete: it can be parsed, and on its compacted topic a
        record is the whole state of its key.
        """
        return self.message is not None and self.fault is None and is_compacted(self.record.topic)


def unreadable(record: Record, fault: str, *, by_key: bool) -> Delivery:
    """Return the delivery of a record without a usable envelope. It blocks its key, or, where that would stop others,
    nothing at all.

    Its id follows from place and content: the same at each delivery, another one in a log that was created again.
    """
    content = hashlib.sha256((record.value or b"") + repr(sorted(record.headers.items())).encode()).hexdigest()
    place = f"{record.topic}/{record.partition}/{record.offset}"
    key = clean(record.key or b"")
    scope = key if by_key and 0 < len(key) <= SCOPE_LIMIT else place
    return Delivery(record, _UNREADABLE.id(f"{place}/{content}"), scope, frozenset({scope}), fault=fault)


def clean(raw: bytes) -> str:
    """Return bytes from outside as text that PostgreSQL can store, with damaged places marked."""
    return raw.decode(errors="replace").replace("\x00", "\ufffd")


def is_private(topic: str) -> bool:
    """Return true if the topic carries persons, so that neither its content nor an error that quotes it may leave."""
    return topic in BY_NAME and BY_NAME[topic].private


def is_compacted(topic: str) -> bool:
    """Return true if the last record of a key is its whole state."""
    return topic in BY_NAME and BY_NAME[topic].compacted


def reason(error: BaseException, topic: str) -> str:
    """Return the reason for a failed record, one line of at most 300 characters that never quotes its content."""
    if isinstance(error, ValidationError):
        return flaws(error)[:300]
    if is_private(topic):
        return type(error).__name__
    # The detail lines of a database error quote the row.
    text = str(error.args[0]) if isinstance(error, asyncpg.PostgresError) and error.args else str(error)
    return f"{type(error).__name__}: {' '.join(text.split())}"[:300]
