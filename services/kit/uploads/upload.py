"""One upload of a device as it is sent: its envelope, its canonical bytes, its hashes, and its fault.

Pure. Only the number (`device`, `session`, `seq`) must be valid; everything else is a fact that is kept as given.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Self

import orjson
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, WithJsonSchema, model_validator

from contracts.uploads import canonical, digest_of, link_of
from contracts.values import Token
from services.kit.http.body import Body, is_storable
from services.kit.http.bounded import Instant, Seq
from services.kit.http.problems import unprocessable

Session = tuple[str, str]
"""A device and its session."""
Key = tuple[str, str, int]

_INSTANT: TypeAdapter[datetime] = TypeAdapter(Instant)
_TEXT_64 = {"type": "string", "minLength": 1, "maxLength": 64}
_HASH = {"anyOf": [{"type": "string", "maxLength": 43}, {"type": "null"}], "description": "SHA-256 in base64url"}


class Answer(StrEnum):
    """The result for an upload. All but `refused` are stored, and count as received; a quarantined one counts if its
    signature holds.
    """

    APPLIED = "applied"
    REPEATED = "repeated"
    CONFLICT = "conflict"
    KEPT = "kept"
    QUARANTINED = "quarantined"
    REFUSED = "refused"


class UploadAnswer(BaseModel):
    """The answer to one upload: the result, the reason, and its flags (`clock-invalid`, `chain-broken`, `forked`)."""

    device: str
    session: str
    seq: int
    answer: str
    reason: str = ""
    flags: list[str] = []


class UploadIn(Body):
    """One numbered fact. Other fields are validated once it is stored: the schema shows values that take effect."""

    model_config = ConfigDict(extra="allow", frozen=True)

    device: Token | None = None
    session: Token
    seq: Seq
    recorded_at: Annotated[Any, WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 64})] = None
    kind: Annotated[Any, WithJsonSchema(_TEXT_64)] = None
    body: Annotated[Any, WithJsonSchema({"type": "object"})] = None
    body_hash: Annotated[Any, WithJsonSchema(_HASH)] = None
    prev_hash: Annotated[Any, WithJsonSchema(_HASH)] = None

    @model_validator(mode="after")
    def _text_can_be_stored(self) -> Self:  # that of the number can; the other fields are validated later
        return self

    def given(self) -> dict[str, Any]:
        """Return the fields as they were sent, unknown ones included."""
        return {name: value for name, value in self if name in self.model_fields_set}


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload as the server counts it. `recorded_at` is the device's clock, or the time of receipt where that is not
    in the years 2000 to 2100 (`clock_invalid`; `device_time` is then the device's value). `given` is the JSON text as
    it was sent. `digest` is the hash of kind and body, which take effect; of a signed one it is the link. `fault` is
    the reason why it has no effect, `quarantine` the reason why staff decides about it; empty when it has an effect.
    One that does not `count` leaves its number free.
    """

    device: str
    session: str
    seq: int
    recorded_at: datetime
    kind: str
    body: dict[str, Any]
    given: str
    digest: bytes
    link: str
    body_hash: str | None = None
    prev_hash: str | None = None
    device_time: str | None = None
    fault: str = ""
    signed_by: str | None = None
    quarantine: str = ""
    counts: bool = True

    @property
    def key(self) -> Key:
        """The key of the upload among those of its owner."""
        return self.device, self.session, self.seq

    @property
    def clock_invalid(self) -> bool:
        """True if `recorded_at` is the time of receipt."""
        return self.device_time is not None


def read(one: UploadIn, owner: str, now: datetime, device: str = "", place: str = "") -> Upload:
    """Return the upload of `owner` (`terminal/ID`, `courier/ID`) received at `now`; `device` is the request's.

    Raises a 422 problem at `place` only for JSON that is nested too deeply to be stored.
    """
    given = one.given() | {"device": one.device or device}
    try:
        text, content = _text(given), canonical({"kind": given.get("kind"), "body": given.get("body")})
    except RecursionError:
        raise unprocessable(place, "is nested too deeply") from None
    at, device_time = _time(given.get("recorded_at"), now)
    body_hash = digest_of(canonical(given.get("body")))
    fault = _fault(one, given, body_hash)
    return Upload(
        device=given["device"],
        session=one.session,
        seq=one.seq,
        recorded_at=at,
        kind=one.kind if _is_name(one.kind) else "",
        body=one.body if isinstance(one.body, dict) and not fault else {},
        given=text,
        digest=hashlib.sha256(content).digest(),
        link=link_of(owner, given, body_hash, given.get("prev_hash")),
        body_hash=_hash(one.body_hash),
        prev_hash=_hash(one.prev_hash),
        device_time=device_time,
        fault=fault,
    )


def _text(given: dict[str, Any]) -> str:
    """Return JSON that can be stored as text: NUL and halves of surrogate pairs are escaped."""
    text = json.dumps(given, ensure_ascii=False)
    return text if is_storable(text) else json.dumps(given)


def _time(given: Any, now: datetime) -> tuple[datetime, str | None]:
    try:
        return _INSTANT.validate_python(given).astimezone(UTC), None
    except (ValidationError, OverflowError):
        return now, json.dumps(given)[:200]


def _fault(one: UploadIn, given: dict[str, Any], body_hash: str) -> str:
    if one.model_extra:
        return f"{json.dumps(min(one.model_extra))[:80]} is not a field of an upload"
    if not _is_name(one.kind):
        return "kind must be a text of 1 to 64 characters"
    if not isinstance(one.body, dict):
        return "body must be an object"
    if why := _unstorable(one.body):
        return f"body: {why}"
    for name in ("body_hash", "prev_hash"):
        if given.get(name) is not None and _hash(given[name]) is None:
            return f"{name} must be 43 characters: SHA-256 in base64url without padding"
    if one.body_hash is not None and one.body_hash != body_hash:
        return "body_hash does not match the body: it changed on its way, or was hashed by another rule"
    return ""


def _unstorable(body: dict[str, Any]) -> str:
    try:
        written = orjson.dumps(body)
        json.dumps(body, allow_nan=False)
    except (TypeError, ValueError) as error:
        return f"can't be stored: {error}"
    if b"\\u0000" in written and any("\x00" in text for text in _texts(body)):
        return "text must not contain a NUL character"
    return ""


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield name
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 64 and is_storable(value)


def _hash(value: Any) -> str | None:
    return value if isinstance(value, str) and len(value) == 43 and value.isascii() and value.isprintable() else None
