"""Route of moves by hand: changes the plan of a wave before its routes are handed out."""

from __future__ import annotations

from fastapi import APIRouter, Response

from contracts.values import Slug
from services.dispatch.api.callers import Dispatcher, check_wave
from services.dispatch.api.schemas.move import MovesBody, PlanChange
from services.dispatch.api.schemas.plan import DiffView
from services.dispatch.commands.move import apply_moves, draft_moves
from services.kit.http.dependencies import IdempotencyKey, Running
from services.kit.http.responses import once
from services.kit.ids import id_of_request
from services.kit.transaction.unit_of_work import UnitOfWork

router = APIRouter(prefix="/v1/waves", tags=["waves"])


@router.post("/{wave}/plan:apply", response_model=PlanChange)
async def apply(
    context: Running,
    caller: Dispatcher,
    wave: Slug,
    body: MovesBody,
    dry_run: bool = False,
    key: IdempotencyKey = None,
) -> PlanChange | Response:
    """Check and price the moves and, unless it is a `dry_run`, make them the wave's plan of the next version.

    409 `wave-moved` if the wave is no longer at `version`, `not-planned` and `handed-out` if it has no plan that can
    change. 422 names each rule that the plan would break with the move that breaks it. The same request again under its
    Idempotency-Key gets the same answer.
    """
    await check_wave(context, caller, wave)
    draft = await draft_moves(context, wave, body.version, [move.command() for move in body.moves])

    def change(version: int, *, applied: bool) -> PlanChange:
        diff = DiffView.of(body.version, draft.checked()[1])
        return PlanChange(wave=wave, version=version, applied=applied, diff=diff)

    async def work(uow: UnitOfWork) -> PlanChange:
        return change(await apply_moves(uow, draft, caller), applied=True)

    if dry_run:
        return change(body.version, applied=False)
    id = id_of_request(key, None, caller.owner)
    return await once(context, caller, f"plan:apply/{wave}", id, body, work, status=200)
