"""Local login of staff: a name, a password and a time-based code (TOTP, RFC 6238) of which no step counts twice."""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyotp

STEP_SECONDS = 30
TOTP_BYTES = 20
SESSION = timedelta(hours=12)
_DRIFT = (0, -1, 1)
"""Steps beside the current one that are accepted: a phone's clock is at most 30 s off (RFC 6238, 5.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """The local login of a member of staff. `password` is the argon2id hash, `totp` the sealed secret; `last_step` is
    the newest time step that a code was used for.
    """

    name: str
    subject: str
    password: str
    totp: bytes
    last_step: int = 0


def secret_text(secret: bytes) -> str:
    """Return a TOTP secret in base 32, as authenticator apps read it."""
    return base64.b32encode(secret).decode()


def totp_link(secret: bytes, name: str) -> str:
    """Return the `otpauth:` link of a TOTP secret for an authenticator app."""
    return pyotp.TOTP(secret_text(secret)).provisioning_uri(name=name, issuer_name="Halfday")


def used_step(secret: bytes, code: str, last_step: int, now: datetime) -> int | None:
    """Return the time step that a code belongs to; None where it is wrong, or of a step that was used before."""
    generator = pyotp.TOTP(secret_text(secret), interval=STEP_SECONDS)
    current = int(now.timestamp()) // STEP_SECONDS
    found = None
    for drift in _DRIFT:  # all of them, so that the time taken says nothing
        if hmac.compare_digest(generator.generate_otp(current + drift), code):
            found = current + drift
    return found if found is not None and found > last_step else None


def read_name(text: str) -> str:
    """Return a login name in one spelling."""
    return text.strip().casefold()
