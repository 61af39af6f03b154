"""The routes of stall terminals: sync, and reset of a terminal's device."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from contracts.values import Slug
from services.kit.http import problems, responses
from services.orders.api.callers import Administrator, Orders, Terminal
from services.orders.api.schemas import stall as s
from services.orders.commands.stall import reset_device, sync_terminal
from services.orders.domain.access import is_terminal

router = APIRouter(prefix="/v1/terminals", tags=["terminals"])


@router.post("/{id}/sync", response_model=s.SyncedView)
async def sync(id: Slug, body: s.SyncIn, app: Orders, caller: Terminal) -> Response:
    """Take each upload on its own: it takes effect once, or is kept with the reason, and never blocks another.
    `received_through` and `gaps` show the missing numbers. Uploads of a device with a key are signed; one without a
    valid signature, or of a key that has ended, is `quarantined` until staff decides.
    """
    if not is_terminal(caller, id):
        raise problems.not_found(f"terminal {id}")
    synced = await sync_terminal(app.context, app.catalog, body.command(id, caller))
    return responses.json(s.synced_view(synced))


@router.post("/{id}:reset-device", response_model=s.ResetView)
async def reset(id: Slug, app: Orders, caller: Administrator, body: s.ResetIn | None = None) -> Response:
    """Retire the terminal's device: it may still upload what it holds, and gets no allotment. The named device, or
    else the next new one that syncs, replaces it.
    """
    if not is_terminal(caller, id):
        raise problems.not_found(f"terminal {id}")
    device = body.device if body else None
    retired = await reset_device(app.context, id, device, caller)
    return responses.json({"terminal": id, "device": device, "retired": retired})
