"""Enrolment codes: 8 Crockford characters with which one device enrols once, within 10 minutes and 5 tries.

The first 4 characters are the handle that a code is found by, the other 4 are its secret half. So wrong codes count
against the code that they try to hit, and its digest covers all 8.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from contracts.values import Bounds

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O and U (https://www.crockford.com/base32.html)."""
LENGTH, HANDLE = 8, 4
LIFE = timedelta(minutes=10)
TRIES = 5
_READ_AS = str.maketrans({"I": "1", "L": "1", "O": "0", "-": None, " ": None})


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """An open code for the device of `subject`. `digest` is the keyed digest of the code; `tries` are those left."""

    handle: str
    digest: bytes
    subject: str
    kind: str
    tenant: str
    bounds: Bounds
    made_by: str
    expires_at: datetime
    tries: int = TRIES


def code_of(random: bytes) -> str:
    """Return the code for 5 random bytes."""
    number = int.from_bytes(random[:5])
    return "".join(ALPHABET[number >> 5 * n & 31] for n in reversed(range(LENGTH)))


def read_code(text: str) -> str | None:
    """Return the code that a person typed: any case, hyphens and spaces, I and L for 1, O for 0. None for no code."""
    code = text.upper().translate(_READ_AS)
    return code if len(code) == LENGTH and set(code) <= set(ALPHABET) else None


def shown(code: str) -> str:
    """Return a code in two groups, as it is read out."""
    return f"{code[:HANDLE]}-{code[HANDLE:]}"


def tried(enrolment: Enrolment, matches: bool, now: datetime) -> tuple[Enrolment | None, bool]:
    """Return the enrolment after one try, None when it is over, and whether the code is accepted."""
    if now >= enrolment.expires_at or enrolment.tries < 1:
        return None, False
    if matches:
        return None, True
    left = enrolment.tries - 1
    return (replace(enrolment, tries=left) if left else None), False
