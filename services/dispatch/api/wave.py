"""Routes of waves: read, cut and release them."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from contracts.values import Slug
from services.dispatch.api.callers import Dispatcher, check_wave
from services.dispatch.api.schemas.wave import WavePage, WaveView
from services.dispatch.commands.wave import cut_by_operator, release_by_operator
from services.dispatch.domain.wave import WaveState
from services.dispatch.repository import queries
from services.kit.context import Context
from services.kit.http.dependencies import After, Limit, Running
from services.kit.http.problems import not_found
from services.kit.http.responses import REVALIDATE, etag, next_cursor

router = APIRouter(prefix="/v1/waves", tags=["waves"])


@router.get("")
async def list_waves(
    context: Running,
    caller: Dispatcher,
    market_day: Slug | None = None,
    state: WaveState | None = None,
    limit: Limit = 100,
    cursor: After = "",
) -> WavePage:
    """List waves of the caller's stations in order of id."""
    found = await queries.waves(context.pool, market_day, state, caller.bounds.stations, cursor, limit)
    return WavePage(waves=[WaveView(**row) for row in found], next=next_cursor(found, limit, "id"))


@router.get("/{wave}", response_model=WaveView)
async def read_wave(context: Running, caller: Dispatcher, request: Request, wave: Slug) -> Response:
    """Return a wave, with an ETag for polling."""
    await check_wave(context, caller, wave)
    return etag(request, await _view(context, wave), cache=REVALIDATE)


@router.post("/{wave}:cut")
async def cut(context: Running, caller: Dispatcher, wave: Slug) -> WaveView:
    """Cut a wave before its cutoff: it takes no more jobs and is planned. One that is already cut stays as it is."""
    await check_wave(context, caller, wave)
    await cut_by_operator(context, wave, caller)
    return await _view(context, wave)


@router.post("/{wave}:release")
async def release(context: Running, caller: Dispatcher, wave: Slug) -> WaveView:
    """Hand out the routes: from then on cancels are refused. Repeatable; 409 before the wave is planned, with the
    reason."""
    await check_wave(context, caller, wave)
    await release_by_operator(context, wave, caller)
    return await _view(context, wave)


async def _view(context: Context, wave: str) -> WaveView:
    found = await queries.wave(context.pool, wave)
    if found is None:
        raise not_found(f"wave {wave}")
    return WaveView(**found)
