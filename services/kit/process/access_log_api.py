"""The access log over HTTP, for administrators."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from contracts.scopes import Scope
from contracts.values import Principal
from services.kit.http.bounded import Instant
from services.kit.http.dependencies import Cursor, Limit, Running, require
from services.kit.http.responses import next_cursor
from services.kit.transaction.access_log import Access, AccessFilter, AccessLogTable

router = APIRouter(prefix="/v1", tags=["access log"])
Name = Annotated[str | None, Query(min_length=1, max_length=500)]


class AccessPage(BaseModel):
    """Rows in the order in which they were appended; `next` is the cursor of the next page, null on the last."""

    accesses: list[Access]
    next: int | None


@router.get("/access-log")
async def listing(
    context: Running,
    caller: Annotated[Principal, Depends(require(Scope.OPS_ADMIN))],
    record: Name = None,
    subject: Name = None,
    since: Annotated[Instant | None, Query(alias="from")] = None,
    until: Annotated[Instant | None, Query(alias="to", description="the first instant that is too late")] = None,
    limit: Limit = 100,
    cursor: Cursor = 0,
) -> AccessPage:
    """List who read which personal data, and who acted by hand: of one `record` (`order/ID`, `wave/ID` and so on), of
    one subject, within a time, oldest first. `fields` are the classes that an answer showed: person, address, code,
    note.
    """
    wanted = AccessFilter(caller.tenant, record, subject, since, until)
    found = await context.table(AccessLogTable).listing(wanted, cursor, limit)
    return AccessPage(accesses=list(found), next=next_cursor(found, limit, "id"))
