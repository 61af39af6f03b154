"""The envelope: one event as a Kafka record in CloudEvents 1.0 binary mode.

Source: cloudevents/spec, bindings/kafka-protocol-binding.md (binary content mode): the value is the JSON data,
every attribute is a `ce_` header. Our extensions: `ce_seq` counts the records of one subject on one topic from
1 without holes; `ce_readers` are the services that read the type in the sender's version, comma-separated, or `none`;
`ce_correlationid` and `ce_causationid` name the request and the record that led here. A null value is a tombstone.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from contracts.values import iso

Headers = dict[str, str]


class Event(BaseModel):
    """A fact or command as data. Subclasses name their topic in the class line and define `key` and `subject`.

    `TYPE` is `market.<owner of the topic>.<class name in kebab case>.v1`. Producers validate strictly by
    building the model; readers ignore fields that they do not know.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_bytes="base64")
    TYPE: ClassVar[str] = ""
    TOPIC: ClassVar[str] = ""

    def __init_subclass__(cls, topic: str | None = None, major: int = 1, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if topic is not None:
            cls.TOPIC = topic
        name = re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()
        cls.TYPE = f"market.{cls.TOPIC.split('.')[0]}.{name}.v{major}"

    @property
    def key(self) -> str:
        """The Kafka key: records with the same key keep their order."""
        raise NotImplementedError(f"{type(self).__name__} does not define its key")

    @property
    def subject(self) -> str:
        """The thing that this record is about. A record that cannot be processed blocks later ones of its subject."""
        return self.key


class Envelope(NamedTuple):
    """The attributes of one record, as read from or written to its headers. Times are aware."""

    id: UUID
    type: str
    source: str
    subject: str
    time: datetime
    seq: int | None = None
    key: str = ""
    correlation: str | None = None
    causation: str | None = None
    traceparent: str | None = None
    readers: str | None = None

    def headers(self) -> Headers:
        """Return the record's headers, ASCII only; FastStream reads `content-type` too."""
        found = {
            "content-type": "application/json",
            "ce_specversion": "1.0",
            "ce_id": str(self.id),
            "ce_type": self.type,
            "ce_source": self.source,
            "ce_subject": self.subject,
            "ce_time": iso(self.time),
            "ce_dataschema": f"schemas/{self.type.removeprefix('market.')}.json",
            "ce_partitionkey": self.key,
        }
        if self.seq is not None:
            found["ce_seq"] = str(self.seq)
        if self.readers is not None:
            found["ce_readers"] = self.readers
        if self.correlation is not None:
            found["ce_correlationid"] = found["correlation_id"] = self.correlation
        if self.causation is not None:
            found["ce_causationid"] = self.causation
        if self.traceparent is not None:
            found["traceparent"] = self.traceparent
        return found


class Unreadable(ValueError):
    """A record's headers do not form an envelope; the text names the header and the reason."""


def read_envelope(headers: Headers) -> Envelope:
    """Return the envelope of a record's headers. Raises `Unreadable` where a required one is missing or malformed."""
    try:
        seq = headers.get("ce_seq")
        time = datetime.fromisoformat(headers["ce_time"])
        if time.tzinfo is None:
            raise ValueError(f"ce_time {headers['ce_time']!r} has no offset")
        return Envelope(
            id=UUID(headers["ce_id"]),
            type=headers["ce_type"],
            source=headers.get("ce_source", ""),
            subject=headers["ce_subject"],
            time=time,
            seq=None if seq is None else int(seq),
            key=headers.get("ce_partitionkey", ""),
            correlation=headers.get("ce_correlationid"),
            causation=headers.get("ce_causationid"),
            traceparent=headers.get("traceparent"),
            readers=headers.get("ce_readers"),
        )
    except KeyError as missing:
        raise Unreadable(f"header {missing} is missing") from missing
    except ValueError as wrong:
        raise Unreadable(f"a header is malformed: {wrong}") from wrong
