"""The session cookie of staff."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from services.access.domain.staff import SESSION

NAME = "__Host-halfday-session"
"""The prefix makes browsers insist on `Secure`, the path `/` and no domain (RFC 6265bis, 4.1.3.2)."""
_LONGEST = 128


def session_of(request: Request) -> str | None:
    """Return the secret of the session; None without a cookie, or with one that can be none."""
    found = request.cookies.get(NAME)
    return found if found and len(found) <= _LONGEST else None


def set_session(response: Response, secret: str) -> None:
    """Give a session to a browser; no script sees it, and other sites' forms don't send it."""
    seconds = int(SESSION.total_seconds())
    response.set_cookie(NAME, secret, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax")


def clear_session(response: Response) -> None:
    """Take the session from a browser."""
    response.delete_cookie(NAME, path="/", secure=True, httponly=True, samesite="lax")
