"""Invitations: a link that is used once, with its secret in the fragment, which no server and no log sees."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.access.domain.account import Grant

LIFE = timedelta(days=3)
KINDS = ("staff", "leader", "household", "steward")


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """An open invitation by the keyed digest of its secret."""

    digest: bytes
    grant: Grant
    made_by: str
    expires_at: datetime


def is_open(invitation: Invitation | None, now: datetime) -> bool:
    """Return True if the invitation can still be accepted."""
    return invitation is not None and now < invitation.expires_at
