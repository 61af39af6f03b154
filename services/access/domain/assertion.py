"""Assertions: the short-lived JWT with which a device asks for an access token (RFC 7523)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

LIFE = timedelta(seconds=60)
AUDIENCE = "halfday"
MAX_JTI = 64


class Refused(ValueError):
    """An assertion breaks a rule; the text names the claim and the expected value."""


def check(claims: Mapping[str, Any], subject: str, now: datetime) -> str:
    """Return the assertion's id (`jti`), which is accepted once. Raises `Refused`.

    It names the subject as issuer and subject, access as audience, and ends within 60 s.
    """
    if claims.get("iss") != subject or claims.get("sub") != subject:
        raise Refused("iss and sub must be the subject of the key")
    if claims.get("aud") != AUDIENCE:
        raise Refused(f"aud must be {AUDIENCE!r}")
    ends, jti = claims.get("exp"), claims.get("jti")
    if not isinstance(ends, int) or isinstance(ends, bool):
        raise Refused("exp must be seconds since 1970 as an integer")
    if not now.timestamp() < ends <= (now + LIFE).timestamp():
        raise Refused("exp must be within the next 60 s: compare the device's clock with the Date header")
    if not isinstance(jti, str) or not 8 <= len(jti) <= MAX_JTI:
        raise Refused("jti must be a text of 8 to 64 characters, another one each time")
    return jti
