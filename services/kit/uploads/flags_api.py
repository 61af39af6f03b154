"""Uploads with a flag over HTTP, for the operator: kept ones, broken clocks, broken chains, conflicts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query

from services.kit.http.app import context_of, require
from services.kit.process.service import Context
from services.kit.uploads import sessions

router = APIRouter(prefix="/v1", tags=["uploads"], dependencies=[Depends(require("operator"))])
Here = Annotated[Context, Depends(context_of)]


@router.get("/uploads")
async def listing(
    context: Here,
    flag: Literal["kept", "clock-invalid", "chain-broken", "conflict"],
    owner: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: Annotated[int, Query(ge=0, lt=2**63)] = 0,
) -> dict[str, Any]:
    """Uploads with the flag, of one owner (`terminal/ID`, `courier/ID`) or all, oldest first; `next` is the cursor of
    the next page, null on the last. A kept one is redriven and discarded among the dead letters.
    """
    found = await sessions.flagged(context.pool, flag, owner, cursor, limit)
    return {"uploads": found, "next": found[-1]["n"] if len(found) == limit else None}
