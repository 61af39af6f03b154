"""One upload of a device as it is sent: its envelope, its canonical bytes, its hashes, and why it can't be used.

Pure. Only the number must be readable (`device`, `session`, `seq`); anything else is a fact that is kept as given.
"""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Annotated, Any, Self

import orjson
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, WithJsonSchema, model_validator

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
_write = partial(json.dumps, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


class Answer(StrEnum):
    """What became of an upload. All but `refused` are stored and count as received."""

    APPLIED = "applied"
    REPEATED = "repeated"
    CONFLICT = "conflict"
    KEPT = "kept"
    REFUSED = "refused"


class UploadAnswer(BaseModel):
    """The answer to one upload: a word, why, and its flags (`clock-invalid`, `chain-broken`)."""

    device: str
    session: str
    seq: int
    answer: str
    reason: str = ""
    flags: list[str] = []


class UploadIn(Body):
    """One numbered fact. The rest is only judged once it is stored, so the schema is what makes it take effect."""

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
    def _text_can_be_stored(self) -> Self:  # that of the number can; the rest is judged later
        return self

    def given(self) -> dict[str, Any]:
        """The fields as they came, those that nobody knows included."""
        return {name: value for name, value in self if name in self.model_fields_set}


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload as the server counts it. `recorded_at` is the device's clock, or the time of receipt where that is no
    time of the years 2000 to 2100 (`clock_invalid`; `device_time` is then what the device said). `given` is the JSON
    text as it came. `digest` is of what takes effect, kind and body. `fault` says why it can't; empty when it can.
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

    @property
    def key(self) -> Key:
        """What the upload is known by, under its owner."""
        return self.device, self.session, self.seq

    @property
    def clock_invalid(self) -> bool:
        """Whether the time of receipt stands in for the device's."""
        return self.device_time is not None


def read(one: UploadIn, owner: str, now: datetime, device: str = "", place: str = "") -> Upload:
    """The upload of `owner` (`terminal/ID`, `courier/ID`) received at `now`; `device` is the request's.

    Raises a 422 problem at `place` only for what is nested too deep to be written down.
    """
    given = one.given() | {"device": one.device or device}
    try:
        text, content = _text(given), canonical({"kind": given.get("kind"), "body": given.get("body")})
    except RecursionError:
        raise unprocessable(place, "is nested too deep") from None
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
        link=link_of(owner, given, body_hash),
        body_hash=_hash(one.body_hash),
        prev_hash=_hash(one.prev_hash),
        device_time=device_time,
        fault=fault,
    )


def canonical(value: Any) -> bytes:
    """The bytes that hashes are of: JSON with sorted keys, no spaces, UTF-8. RFC 8785 for what has neither fractions
    nor keys beyond ASCII, and equal to `JSON.stringify` of sorted keys.
    """
    return _write(value).encode("utf-8", "surrogatepass")


def digest_of(content: bytes) -> str:
    """SHA-256 as base64url without padding: 43 characters."""
    return urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def link_of(owner: str, given: dict[str, Any], body_hash: str) -> str:
    """The upload's place in its device's chain; the next upload's `prev_hash` is this. See decision 0012."""
    role, _, id = owner.partition("/")
    named = {name: given.get(name) for name in ("device", "session", "seq", "recorded_at", "kind", "prev_hash")}
    return digest_of(canonical({"v": 1, role: id, **named, "body_hash": body_hash}))


def _text(given: dict[str, Any]) -> str:
    """JSON that can be stored as text: NUL and halves of surrogate pairs are escaped."""
    text = json.dumps(given, ensure_ascii=False)
    return text if is_storable(text) else json.dumps(given)


def _time(given: Any, now: datetime) -> tuple[datetime, str | None]:
    try:
        return _INSTANT.validate_python(given).astimezone(UTC), None
    except (ValidationError, OverflowError):
        return now, json.dumps(given)[:200]


def _fault(one: UploadIn, given: dict[str, Any], body_hash: str) -> str:
    if one.model_extra:
        return f"{json.dumps(min(one.model_extra))[:80]} is no field of an upload"
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
        return "body_hash is not that of the body: it changed on its way, or was hashed by another rule"
    return ""


def _unstorable(body: dict[str, Any]) -> str:
    try:
        written = orjson.dumps(body)
        json.dumps(body, allow_nan=False)
    except (TypeError, ValueError) as error:
        return f"can't be stored: {error}"
    if b"\\u0000" in written and any("\x00" in text for text in _texts(body)):
        return "text may not hold a NUL character"
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
