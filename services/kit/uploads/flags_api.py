"""Uploads with a flag over HTTP, for the operator: kept ones, broken clocks, broken chains, conflicts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query

from services.kit.http.dependencies import Cursor, Limit, Running, require
from services.kit.uploads import sessions

router = APIRouter(prefix="/v1", tags=["uploads"], dependencies=[Depends(require("operator"))])


@router.get("/uploads")
async def listing(
    context: Running,
    flag: Literal["kept", "clock-invalid", "chain-broken", "conflict"],
    owner: Annotated[str | None, Query(max_length=100)] = None,
    limit: Limit = 100,
    cursor: Cursor = 0,
) -> dict[str, Any]:
    """Uploads with the flag, of one owner (`terminal/ID`, `courier/ID`) or all, oldest first; `next` is the cursor of
    the next page, null on the last. A kept one is redriven and discarded among the dead letters.
    """
    found = await sessions.flagged(context.pool, flag, owner, cursor, limit)
    return {"uploads": found, "next": found[-1]["n"] if len(found) == limit else None}
