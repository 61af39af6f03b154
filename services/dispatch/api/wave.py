"""Waves: seen, cut, released."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from contracts.values import Slug
from services.dispatch.api.common import OPERATOR, Limit, Running, polled
from services.dispatch.api.schemas.delivery import WavePage, WaveView
from services.dispatch.commands import waves
from services.dispatch.domain.wave import Wave, WaveState
from services.dispatch.repository import WaveRepository, queries
from services.kit.http.dependencies import After
from services.kit.http.problems import conflict, not_found

router = APIRouter(prefix="/v1/waves", tags=["waves"], dependencies=[OPERATOR])


@router.get("")
async def listing(
    running: Running,
    market_day: Slug | None = None,
    state: WaveState | None = None,
    limit: Limit = 100,
    cursor: After = "",
) -> WavePage:
    """Waves in order of id."""
    found = await queries.waves(running.pool, market_day, state, cursor, limit)
    return WavePage(waves=[WaveView(**row) for row in found], next=found[-1]["id"] if len(found) == limit else None)


@router.get("/{wave}", response_model=WaveView)
async def one(running: Running, request: Request, wave: Slug) -> Response:
    """A wave, with an ETag for polling."""
    return polled(request, await _view(running, wave))


@router.post("/{wave}:cut")
async def cut(running: Running, wave: Slug) -> WaveView:
    """Cuts the wave now: no more jobs, and the planner begins. A wave that is cut already stays as it is."""
    async with running.unit() as uow:
        book = WaveRepository(uow, None)
        waves.cut(book, await _locked(book, wave))
        await book.save()
    return await _view(running, wave)


@router.post("/{wave}:release")
async def release(running: Running, wave: Slug) -> WaveView:
    """Hands the routes out: from here on cancels are refused. Repeatable; 409 before the wave is planned, which says
    what prevents it."""
    async with running.unit() as uow:
        book = WaveRepository(uow, None)
        found = await _locked(book, wave)
        if found.state in {WaveState.OPEN, WaveState.CUT}:
            blocked = (await queries.wave(running.pool, wave) or {}).get("blocked")
            why = f"it can't be planned: {blocked}" if blocked else "it has no plan yet"
            raise conflict(f"The wave is {found.state}: {why}", "not-planned")
        if found.state is WaveState.PLANNED and (plan := await queries.plan(uow.conn, wave)):
            await book.lock_jobs_of([wave])
            waves.release(book, found, plan[1])
            await book.save()
    return await _view(running, wave)


async def _locked(book: WaveRepository, wave: str) -> Wave:
    await book.lock_waves([wave])
    if wave not in book.waves:
        raise not_found(f"Wave {wave}")
    return book.waves[wave]


async def _view(running: Running, wave: str) -> WaveView:
    found = await queries.wave(running.pool, wave)
    if found is None:
        raise not_found(f"Wave {wave}")
    return WaveView(**found)
