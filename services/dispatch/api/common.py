"""What the routes share."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel

from services.kit.context import Context
from services.kit.http import idempotency
from services.kit.http.dependencies import require
from services.kit.http.problems import conflict
from services.kit.transaction.unit_of_work import UnitOfWork


def context(request: Request) -> Context:
    """The running service."""
    found = request.app.state.context
    assert isinstance(found, Context)
    return found


Running = Annotated[Context, Depends(context)]
Limit = Annotated[int, Query(ge=1, le=500)]
OPERATOR = Depends(require("operator"))
COURIER = Depends(require("courier", "operator"))
CUSTOMER = Depends(require("buyer", "leader", "terminal", "operator"))


def polled(request: Request, content: BaseModel) -> Response:
    """The content under an ETag; 304 when the client has it already."""
    body = content.model_dump_json().encode()
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


async def once(
    running: Context, scope: str, id: UUID, content: BaseModel, work: Callable[[UnitOfWork], Awaitable[BaseModel]]
) -> Response:
    """What `work` answers, in one transaction with its effects; the same request again gets the same answer without
    them, another one under the same id is a 409 that is kept."""
    async with running.unit() as uow:
        hashed = idempotency.content_hash(content)
        verdict = (await idempotency.replay_or_claim(uow.conn, scope, [str(id)], [hashed]))[0]
        if verdict.seen is idempotency.Seen.NEW:
            answer = (await work(uow)).model_dump_json().encode()
            await idempotency.remember(uow.conn, scope, {str(id): (200, answer)})
            return Response(answer, media_type="application/json")
    if verdict.seen is idempotency.Seen.REPEAT:
        return Response(verdict.response, verdict.status or 200, media_type="application/json")
    raise conflict(f"{scope} {id} was used for another request", "id-reused")
