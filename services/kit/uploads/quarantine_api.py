"""Quarantined uploads over HTTP, for staff: list them, and accept or refuse each."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from contracts.scopes import Scope
from contracts.values import Principal
from services.kit.context import Context
from services.kit.http.body import Body
from services.kit.http.bounded import VISIBLE
from services.kit.http.dependencies import Cursor, Limit, Running, require
from services.kit.http.responses import NO_STORE, json, next_cursor
from services.kit.transaction.access_log import log_reading
from services.kit.uploads.decision import Decision, decide
from services.kit.uploads.quarantine import QuarantineTable, Row
from services.kit.uploads.sessions import words_of

router = APIRouter(prefix="/v1/uploads/quarantined", tags=["uploads"])
Decider = Annotated[Principal, Depends(require(Scope.DEVICE_ENROL, Scope.ORDER_MANAGE))]
Id = Annotated[int, Path(ge=1, lt=2**63)]


def _on_upload(request: Request) -> Any:
    """Return the service's `OnUpload`, None where it takes no uploads."""
    return request.app.state.service.on_upload


Apply = Annotated[Any, Depends(_on_upload)]


class DecisionIn(Body):
    """The reason for a decision about an upload; it is kept."""

    why: Annotated[str, Field(max_length=200), VISIBLE]


class QuarantinedUpload(BaseModel):
    """An upload without effect, `id` in order of arrival. `reason` says why it waits; `received`: it counts as
    received, so its device has deleted it. `given` is the JSON text as it was sent, empty once a person was erased.
    `frozen_through`: the session was complete up to this number when the device's key was revoked.
    """

    id: int
    owner: str
    device: str
    session: str
    seq: int
    kind: str
    reason: str
    received: bool
    received_at: datetime
    frozen_through: int | None
    given: str
    decision: Decision | None
    decided_by: str | None
    decided_at: datetime | None
    why: str | None

    @classmethod
    def of(cls, row: Row) -> Self:
        """Return the view of a row."""
        return cls.model_validate(row)


class QuarantinedPage(BaseModel):
    """Quarantined uploads, oldest first; `next` is the cursor of the next page, null on the last."""

    uploads: list[QuarantinedUpload]
    next: int | None


@router.get("", response_model=QuarantinedPage)
async def listing(
    context: Running,
    caller: Decider,
    state: Literal["waiting", "decided"] = "waiting",
    owner: Annotated[str | None, Query(max_length=100)] = None,
    limit: Limit = 100,
    cursor: Cursor = 0,
) -> Response:
    """List uploads of the caller's places that wait for a decision, or were decided about, of one owner (`terminal/ID`,
    `courier/ID`) or all.
    """
    places = {"sites": caller.bounds.sites, "stations": caller.bounds.stations}
    async with context.unit() as uow:
        found = await uow.table(QuarantineTable).page(owner, state == "decided", places, cursor, limit)
        uploads = [QuarantinedUpload.of(row) for row in found]
        shown = {one.id: words_of(one.owner, one.given) for one in uploads}
        await log_reading(uow, caller, "quarantine", shown, kind="upload")
    page = QuarantinedPage(uploads=uploads, next=next_cursor(uploads, limit, "id"))
    return json(page, headers={"Cache-Control": NO_STORE})


@router.post("/{id}:accept", response_model=QuarantinedUpload)
async def accept(context: Running, caller: Decider, apply: Apply, id: Id, body: DecisionIn) -> Response:
    """Let an upload take effect as one of its device, once. 409 where it can have none: it stays in quarantine."""
    return await _decide(context, apply, caller, id, "accepted", body.why)


@router.post("/{id}:refuse", response_model=QuarantinedUpload)
async def refuse(context: Running, caller: Decider, id: Id, body: DecisionIn) -> Response:
    """Leave an upload without effect for ever. It stays listed among the decided ones."""
    return await _decide(context, None, caller, id, "refused", body.why)


async def _decide(context: Context, apply: Any, caller: Principal, id: int, decision: Decision, why: str) -> Response:
    row = await decide(context, apply, caller, id, decision, why)
    return json(QuarantinedUpload.of(row), headers={"Cache-Control": NO_STORE})
