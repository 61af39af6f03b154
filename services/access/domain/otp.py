"""One-time codes for phones: 6 digits, valid for 5 minutes and 5 tries; a newer code replaces the older."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

DIGITS = 6
LIFE = timedelta(minutes=5)
TRIES = 5


@dataclass(frozen=True, slots=True)
class Otp:
    """The open code of a phone: keyed digests of both, and the tries left."""

    phone: bytes
    digest: bytes
    made_at: datetime
    tries: int = TRIES


def code_of(random: bytes) -> str:
    """Return the code for 8 random bytes; the bias of the remainder is below 1 in 10^13."""
    return str(int.from_bytes(random[:8]) % 10**DIGITS).zfill(DIGITS)


def tried(otp: Otp, matches: bool, now: datetime) -> tuple[Otp | None, bool]:
    """Return the code after one try, None when it is over, and whether it is accepted."""
    if now - otp.made_at >= LIFE or otp.tries < 1:
        return None, False
    if matches:
        return None, True
    left = otp.tries - 1
    return (replace(otp, tries=left) if left else None), False
