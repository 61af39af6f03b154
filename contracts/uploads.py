"""Canonical form and hash chain of uploads, the same in every language. Pure.

A signed upload is hashed in the form of RFC 8785, restricted so that a browser and Python write the same bytes without
a library: objects with ASCII keys, arrays, strings in NFC without NUL and without halves of surrogate pairs, integers
below 2^53 in size, booleans and null. `contracts/vectors/uploads.json` has values with their bytes, hashes, links and a
signature.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from functools import partial
from typing import Any

VERSION = 1
"""The version of the chain's form, `v` of every link."""
DEPTH = 20
"""The most levels of objects and arrays in a value."""
LARGEST = 2**53 - 1
"""The largest integer, in size, that every client has exactly."""
_write = partial(json.dumps, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


class NotCanonical(ValueError):
    """A value that is outside the restricted form. `place` is the JSON pointer to it."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place or '(the whole)'} {reason}")
        self.place, self.reason = place, reason


def canonical(value: Any) -> bytes:
    """Return the bytes to hash: JSON with sorted keys, no spaces, UTF-8. Equal to RFC 8785 for values without fractions
    and without keys beyond ASCII, and to `JSON.stringify` of sorted keys.
    """
    return _write(value).encode("utf-8", "surrogatepass")


def digest_of(content: bytes) -> str:
    """Return SHA-256 as base64url without padding: 43 characters."""
    return urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def check_form(value: Any, place: str = "", depth: int = DEPTH) -> None:
    """Raise `NotCanonical` where a JSON value at `place` is outside the restricted form, for the first such place."""
    match value:
        case None | bool():
            return
        case int():
            if abs(value) > LARGEST:
                raise NotCanonical(place, f"must be an integer of at most {LARGEST} in size")
        case str():
            _check_text(value, place)
        case list() | dict():
            if depth == 0:
                raise NotCanonical(place, f"is nested too deeply: at most {DEPTH} levels")
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            for name, one in pairs:
                inner = f"{place}/{str(name).replace('~', '~0').replace('/', '~1')}"
                if isinstance(name, str) and not name.isascii():
                    raise NotCanonical(inner, "must have a name of ASCII characters")
                if isinstance(name, str):
                    _check_text(name, inner)
                check_form(one, inner, depth - 1)
        case _:
            raise NotCanonical(place, "must be no fraction: send an integer in a smaller unit")


def _check_text(text: str, place: str) -> None:
    if "\x00" in text:
        raise NotCanonical(place, "must not contain a NUL character")
    if any("\ud800" <= one <= "\udfff" for one in text):
        raise NotCanonical(place, "must not contain half of a surrogate pair")
    if not unicodedata.is_normalized("NFC", text):
        raise NotCanonical(place, "must be in Unicode normalization form C (NFC)")


def link_of(owner: str, row: Mapping[str, Any], body_hash: str, prev_hash: str | None) -> str:
    """Return the link of an upload of `owner` (`terminal/ID`, `courier/ID`), which is the next upload's `prev_hash`.

    `row` has the values of `device`, `session`, `seq`, `recorded_at` and `kind` as they were sent. A chain goes through
    all sessions of a device; its first `prev_hash` is the thumbprint of the device's key.
    """
    role, _, id = owner.partition("/")
    named = {name: row.get(name) for name in ("device", "session", "seq", "recorded_at", "kind")}
    return digest_of(canonical({"v": VERSION, role: id, **named, "body_hash": body_hash, "prev_hash": prev_hash}))


def next_link(owner: str, row: Mapping[str, Any], prev_hash: str | None) -> str:
    """Return the link of an upload with the body in it; see `link_of`."""
    return link_of(owner, row, digest_of(canonical(row.get("body"))), prev_hash)


def signed_bytes(link: str) -> bytes:
    """Return what a device signs to send the chain up to this link: its 43 characters."""
    return link.encode()
