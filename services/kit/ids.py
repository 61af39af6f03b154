"""Ids that clients make, and ids that we make."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import NAMESPACE_URL, UUID, uuid5

import uuid_utils
from pydantic import BeforeValidator

from services.kit import problems

_KEYS = uuid5(NAMESPACE_URL, "halfday:idempotency-key")
_CROCKFORD = {c: n for n, c in enumerate("0123456789ABCDEFGHJKMNPQRSTVWXYZ")} | {"I": 1, "L": 1, "O": 0}


def parse_id(value: Any) -> Any:
    """A client's id: a ULID becomes the UUID with the same 128 bits; all else is left for UUID to judge."""
    if not isinstance(value, str) or len(value) != 26:
        return value
    number = 0
    for character in value.upper():
        if character not in _CROCKFORD:
            return value
        number = number * 32 + _CROCKFORD[character]
    return UUID(int=number) if number < 1 << 128 else value


Id = Annotated[UUID, BeforeValidator(parse_id)]
"""Type of an id in a body or path: a UUID, or a ULID that is read as one."""


def new_id() -> UUID:
    """A UUIDv7: ids that are made later sort later."""
    return UUID(int=uuid_utils.uuid7().int)


def id_of_request(key: str | None, own: UUID | None) -> UUID:
    """The id of what a request makes: its own, else what its Idempotency-Key stands for, else a new one.

    A key that is a UUID or ULID is the id itself. Raises a 422 problem where the key and the own id differ.
    """
    if key is None:
        return own or new_id()
    parsed = parse_id(key)
    try:
        named = parsed if isinstance(parsed, UUID) else UUID(key)
    except ValueError:
        named = uuid5(_KEYS, key)
    if own is not None and own != named:
        raise problems.unprocessable("", "the Idempotency-Key differs from the id in the body, which is the key")
    return named
