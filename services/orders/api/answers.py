"""How answers look: JSON, entity tags, pages of lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from fastapi import Request
from starlette.responses import Response

NO_STORE = {"Cache-Control": "no-store"}
"""What is about a person no cache may keep."""


def json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response; times come out as RFC 3339, ids as text."""
    # default: asyncpg has a UUID class of its own
    return Response(orjson.dumps(content, default=str), status, dict(headers or {}), media_type="application/json")


def tagged(request: Request, content: Any, version: int, status: int = 200, *, personal: bool = False) -> Response:
    """The content with its version as entity tag; 304 where the client has that one already. What is `personal` no
    cache may keep.
    """
    tag = f'"{version}"'
    headers = {"ETag": tag} | (NO_STORE if personal else {})
    if request.method == "GET" and request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return json(content, status, headers)


def listed(items: Sequence[Mapping[str, Any]], limit: int, key: str) -> Response:
    """A page: `items`, and `next`, the cursor of the page after it, or null at the end."""
    return json({"items": items, "next": items[-1][key] if len(items) == limit else None})
