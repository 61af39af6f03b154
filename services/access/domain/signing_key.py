"""Signing keys of access: the next one is published before it signs, the previous one verifies until its tokens end."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from contracts.events.access import KeyStatus

TOKEN_LIFE = timedelta(minutes=10)
"""Life of an access token."""
PREVIOUS_LIFE = TOKEN_LIFE + timedelta(minutes=5)
"""A previous key verifies for so long; the margin is for clocks that differ."""
ROTATION = timedelta(days=30)
_TOKENS_VERIFY = (KeyStatus.NEXT, KeyStatus.CURRENT, KeyStatus.PREVIOUS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A P-256 key by its id. `sealed` is the private part, encrypted; `changed_at` is the start of its status."""

    kid: str
    x: str
    y: str
    sealed: bytes
    status: KeyStatus
    changed_at: datetime
    version: int = 1

    @property
    def is_published(self) -> bool:
        """True for a key that an outsider needs to verify tokens."""
        return self.status in _TOKENS_VERIFY


def current_of(keys: Collection[SigningKey]) -> SigningKey | None:
    """Return the key that signs; None before the first start has made one."""
    return next((key for key in keys if key.status is KeyStatus.CURRENT), None)


def missing(keys: Collection[SigningKey]) -> list[KeyStatus]:
    """Return the statuses that a key has to be made for: at the first start, current and next."""
    return [status for status in (KeyStatus.CURRENT, KeyStatus.NEXT) if not any(key.status is status for key in keys)]


def is_due(keys: Collection[SigningKey], now: datetime) -> bool:
    """Return True if the current key has signed for 30 days."""
    current = current_of(keys)
    return current is not None and now - current.changed_at >= ROTATION


def rotate(keys: Collection[SigningKey], new: SigningKey, now: datetime) -> list[SigningKey]:
    """Return the keys that change: current becomes previous, next becomes current, and `new` is the next one.

    Readers know the next key before it signs, and there is never more than one current key: previous comes first.
    """
    before = [_to(key, KeyStatus.PREVIOUS, now) for key in keys if key.status is KeyStatus.CURRENT]
    after = [_to(key, KeyStatus.CURRENT, now) for key in keys if key.status is KeyStatus.NEXT]
    return [*before, *after, new]


def ended(keys: Collection[SigningKey], now: datetime) -> list[SigningKey]:
    """Return the previous keys that retire now: every token that they signed has expired."""
    previous = [key for key in keys if key.status is KeyStatus.PREVIOUS]
    return [_to(key, KeyStatus.RETIRED, now) for key in previous if now - key.changed_at >= PREVIOUS_LIFE]


def _to(key: SigningKey, status: KeyStatus, now: datetime) -> SigningKey:
    return replace(key, status=status, changed_at=now, version=key.version + 1)
