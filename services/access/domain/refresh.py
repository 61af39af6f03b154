"""Refresh tokens: each is used once and replaced by the next of its family; a second use ends the whole family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from uuid import UUID

LIVES: Mapping[str, timedelta] = {
    "leader": timedelta(days=30),
    "household": timedelta(days=30),
    "steward": timedelta(days=30),
    "resident": timedelta(days=90),
}
"""Life of a refresh token by the kind of its principal; other kinds have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken:
    """A refresh token by its keyed digest. `family` is common to all that follow from one login."""

    digest: bytes
    family: UUID
    subject: str
    expires_at: datetime
    used_at: datetime | None = None


class Use(Enum):
    """Verdict on a presented refresh token."""

    ROTATE = "rotate"
    """Mark it as used and issue the next one."""
    REUSED = "reused"
    """End the family: the token was stolen, or is being replayed."""
    EXPIRED = "expired"


def use(token: RefreshToken, now: datetime) -> Use:
    """Return the verdict on a presented token. A used one stays a theft after its expiry."""
    if token.used_at is not None:
        return Use.REUSED
    return Use.ROTATE if now < token.expires_at else Use.EXPIRED
