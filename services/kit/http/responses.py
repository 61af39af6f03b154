"""JSON responses: plain, under an entity tag, as a page of a list, and once per request id."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson
from fastapi import Request
from pydantic import BaseModel
from starlette.responses import Response

from contracts.values import Principal
from services.kit.context import Context
from services.kit.http import idempotency, problems
from services.kit.transaction.unit_of_work import UnitOfWork

NO_STORE = "no-store"
"""`Cache-Control` of what is about a person: no cache may keep it."""
REVALIDATE = "private, no-cache"
"""`Cache-Control` of what clients poll: the client's own cache keeps it and asks each time whether it changed."""


def encode(content: Any) -> bytes:
    """Return the JSON of a model or of plain values; times come out as RFC 3339, ids as text."""
    if isinstance(content, BaseModel):
        return content.model_dump_json().encode()
    return orjson.dumps(content, default=str)  # default: asyncpg has a UUID class of its own


def json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON response with the content, a model or plain values."""
    return Response(encode(content), status, dict(headers or {}), media_type="application/json")


def etag(
    request: Request, content: Any, version: int | None = None, *, status: int = 200, cache: str | None = None
) -> Response:
    """Return the content under an entity tag: its `version`, or the digest of its bytes where it has none.

    A GET with this tag in `If-None-Match` gets a 304 without content. `cache` is the `Cache-Control` header, such as
    `NO_STORE` or `REVALIDATE`. Callers may see different parts under one version, so the answer varies with the
    credential (`Vary`, RFC 9110, 12.5.5).
    """
    body = encode(content) if version is None else b""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32] if version is None else version}"'
    headers = {"ETag": tag, "Vary": "Authorization"} | ({"Cache-Control": cache} if cache else {})
    if request.method == "GET" and request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body or encode(content), status, headers, media_type="application/json")


def next_cursor(items: Sequence[Any], limit: int, key: str) -> Any:
    """Return the cursor of the page after this one: `key` of the last item, or None where this page is the last."""
    if len(items) < limit:
        return None
    last = items[-1]
    return last[key] if isinstance(last, Mapping) else getattr(last, key)


def page(items: Sequence[Any], limit: int, key: str, name: str = "items") -> Response:
    """Return a page of a list: the items under `name`, and `next`, the cursor of the next page or null at the end.

    `key` names the field that the list is ordered by, `limit` is the size that the client asked for.
    """
    return json({name: items, "next": next_cursor(items, limit, key)})


async def once(
    context: Context,
    caller: Principal,
    scope: str,
    id: UUID,
    content: BaseModel | Mapping[str, Any],
    work: Callable[[UnitOfWork], Awaitable[Any]],
    status: int = 201,
) -> Response:
    """Return what `work` answers, a model or plain values, with `status`; in one transaction with its effects.

    The same request again (same `content` under the same `scope` and `id`) gets the same bytes without the effects.
    Raises a 409 problem `id-reused` for another content under the same id, which is recorded, and for any request of
    another owner under it, which is not.
    """
    async with context.unit() as uow:
        hashed, table = idempotency.content_hash(content), uow.table(idempotency.KeyTable)
        verdict = (await idempotency.replay_or_claim(table, scope, [str(id)], [hashed], caller.owner))[0]
        if verdict.seen is idempotency.Seen.NEW:
            answer = encode(await work(uow))
            await table.remember(scope, {str(id): (status, answer)})
            return Response(answer, status, media_type="application/json")
    if verdict.seen is idempotency.Seen.REPEAT:
        return Response(verdict.response, verdict.status or status, media_type="application/json")
    raise problems.conflict(f"{scope} {id} was used for another request", "id-reused")
