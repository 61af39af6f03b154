"""Flagged uploads over HTTP, for the operator: kept ones, invalid clocks, broken chains, conflicts, forks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel
from starlette.responses import Response

from contracts.scopes import Scope
from contracts.values import Principal
from services.kit.http.dependencies import Cursor, Limit, Running, require
from services.kit.http.responses import NO_STORE, json, next_cursor
from services.kit.transaction.access_log import log_reading
from services.kit.uploads import sessions
from services.kit.uploads.sessions import words_of

router = APIRouter(prefix="/v1", tags=["uploads"])


class FlaggedUpload(BaseModel):
    """An upload with a flag, numbered `n` in order of arrival. `device_time` is the device's time where that was
    invalid, `kept` the reason why it has no effect, `given` the JSON text of a conflict that can't be read.
    """

    n: int
    owner: str
    device: str
    session: str
    seq: int
    kind: str
    recorded_at: datetime
    received_at: datetime
    device_time: str | None
    kept: str | None
    given: str | None


class FlaggedPage(BaseModel):
    """Flagged uploads, oldest first; `next` is the cursor of the next page, null on the last."""

    uploads: list[FlaggedUpload]
    next: int | None


@router.get("/uploads", response_model=FlaggedPage)
async def listing(
    context: Running,
    caller: Annotated[Principal, Depends(require(Scope.OPS_ADMIN))],
    flag: Literal["kept", "clock-invalid", "chain-broken", "conflict", "forked"],
    owner: Annotated[str | None, Query(max_length=100)] = None,
    limit: Limit = 100,
    cursor: Cursor = 0,
) -> Response:
    """List the uploads with the flag, of one owner (`terminal/ID`, `courier/ID`) or all, oldest first; `next` is the
    cursor of the next page, null on the last. A kept one is redriven and discarded among the dead letters.
    """
    async with context.unit() as uow:
        found = await sessions.flagged(uow.conn, flag, owner, cursor, limit)
        uploads = [FlaggedUpload.model_validate(row) for row in found]
        shown = {f"{one.owner}/{one.device}/{one.session}/{one.seq}": words_of(one.owner, one.given) for one in uploads}
        await log_reading(uow, caller, "uploads", shown, kind="upload")
    page = FlaggedPage(uploads=uploads, next=next_cursor(uploads, limit, "n"))
    return json(page, headers={"Cache-Control": NO_STORE})
