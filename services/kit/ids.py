"""Ids of clients, and ids that the services make.

An order's ids are hashed, compared and written as text and bytes dozens of times. They are of the database driver's
subclass of UUID, which does each of these in a fifth to a tenth of the time, and are computed in native code.
"""

from __future__ import annotations

import hmac
from typing import Annotated, Any
from uuid import UUID

import uuid_utils
from asyncpg.pgproto.pgproto import UUID as QuickUUID
from pydantic import AfterValidator, BeforeValidator

from services.kit.errors import UnusableId


class Namespace:
    """A namespace for derived ids, named by a text such as `deadline`."""

    def __init__(self, name: str) -> None:
        self._id = uuid_utils.uuid5(uuid_utils.NAMESPACE_URL, f"halfday:{name}")

    def id(self, name: str) -> UUID:
        """Return the UUIDv5 (RFC 9562) of a name: the same at each call."""
        return QuickUUID(uuid_utils.uuid5(self._id, name).bytes)


def keyed_id(key: bytes, name: str) -> UUID:
    """Return the UUIDv8 (RFC 9562) of a name under a secret key (HMAC-SHA-256): the same at each call, and unknown to
    everyone without the key.
    """
    number = int.from_bytes(hmac.digest(key, name.encode(), "sha256")[:16])
    number = number & ~(0xF << 76 | 0b11 << 62) | 0x8 << 76 | 0b10 << 62
    return QuickUUID(number.to_bytes(16))


_NO_IDS = {0, 2**128 - 1}  # RFC 9562, 5.9 and 5.10
_KEYS = Namespace("idempotency-key")
_CROCKFORD = {c: n for n, c in enumerate("0123456789ABCDEFGHJKMNPQRSTVWXYZ")} | {"I": 1, "L": 1, "O": 0}


def parse_id(value: Any) -> Any:
    """Return a client's id: a ULID becomes the UUID with the same 128 bits; UUID validates everything else."""
    if not isinstance(value, str) or len(value) != 26:
        return value
    number = 0
    for character in value.upper():
        if character not in _CROCKFORD:
            return value
        number = number * 32 + _CROCKFORD[character]
    return UUID(int=number) if number < 1 << 128 else value


def quick(id: UUID) -> UUID:
    """Return the same id as an object of the driver's UUID class."""
    return QuickUUID(id.bytes)


Id = Annotated[UUID, BeforeValidator(parse_id), AfterValidator(quick)]
"""Type of an id in a body or path: a UUID, or a ULID that is read as one."""


def new_id() -> UUID:
    """Return a UUIDv7: ids that are made later sort later."""
    return QuickUUID(uuid_utils.uuid7().bytes)


def id_of_request(key: str | None, own: UUID | None, owner: str | None = None) -> UUID:
    """Return the id of what a request creates: its own, else the one that its Idempotency-Key stands for, else a new
    one. A key stands for another id with each `owner` (`Principal.owner`); the local tokens share their keys.

    A key that is a UUID or ULID is the id itself. Raises `UnusableId`, over HTTP a 422, where the key and the own id
    differ, and for the nil and the max UUID.
    """
    if key is None:
        return _some(own or new_id())
    parsed = parse_id(key)
    try:
        named = parsed if isinstance(parsed, UUID) else UUID(key)
    except ValueError:
        named = _KEYS.id(key if owner is None else f"{owner}/{key}")
    if own is not None and own != named:
        raise UnusableId("the Idempotency-Key differs from the id in the body, which is the key")
    return _some(named)


def _some(id: UUID) -> UUID:
    if id.int in _NO_IDS:
        raise UnusableId(f"{id} is reserved and can't be an id: send a UUIDv7 or ULID, or leave the id out")
    return id
