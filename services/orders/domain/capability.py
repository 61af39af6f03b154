"""The capability of an order: a secret that opens this one order for a buyer without an account. Pure."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from contracts.scopes import KINDS
from contracts.values import Principal

KIND = "capability"
LIFE = timedelta(days=30)
"""The time for which a capability opens its order after the order's end."""


@dataclass(frozen=True, slots=True)
class Visitor(Principal):
    """A caller without an account who places an order. `address` is a keyed hash of its network address, which limits
    are for.
    """

    address: str = ""


@dataclass(frozen=True, slots=True)
class CapabilityKey:
    """The key of all capabilities; those of the `previous` one open their orders too, so that it can be replaced. It
    also hides the addresses of clients.
    """

    current: bytes = field(repr=False)
    previous: bytes | None = field(default=None, repr=False)

    def secret(self, order: UUID) -> str:
        """Return the capability of an order, 43 characters of base64url: the same at each call, and stored nowhere."""
        return _mac(self.current, b"order/" + order.bytes)

    def opens(self, order: UUID, secret: str) -> bool:
        """Return True for the capability of this order; compared in constant time."""
        named = b"order/" + order.bytes
        keys = [key for key in (self.current, self.previous) if key is not None]
        return any(hmac.compare_digest(_mac(key, named).encode(), secret.encode()) for key in keys)

    def digest(self, address: str) -> str:
        """Return the keyed hash of an address: without the key, trying all addresses finds none."""
        return _mac(self.current, b"address/" + address.encode())


def visitor(address: str) -> Visitor:
    """Return the caller without an account at an address, given as its keyed hash."""
    return Visitor(f"{KIND}.visitor", KIND, frozenset(KINDS[KIND]), address=address)


def holder(order: UUID) -> Principal:
    """Return the caller who has shown the capability of an order."""
    return Principal(f"{KIND}.{order}", KIND, frozenset(KINDS[KIND]))


def owner_of(digest: str) -> str:
    """Return the subject that a client's digest stands for. Its own digest: who reads it in a table or a log can't send
    the client's.
    """
    return f"{KIND}.{_text(hashlib.sha256(digest.encode()).digest())}"


def has_capability(owner: str | None) -> bool:
    """Return True if an order of this owner is opened by its capability: a client without an account placed it."""
    return owner is not None and owner.startswith(f"{KIND}.")


def has_lapsed(ended_at: datetime, now: datetime) -> bool:
    """Return True if the capability of an order that ended then opens it no more."""
    return now >= ended_at + LIFE


def _mac(key: bytes, named: bytes) -> str:
    return _text(hmac.digest(key, named, "sha256"))


def _text(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
