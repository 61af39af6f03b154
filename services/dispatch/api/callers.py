"""The parameter types of routes: the callers by the scope that a route needs."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated
from uuid import UUID

from fastapi import Depends

from contracts.scopes import Scope
from contracts.values import Principal
from services.dispatch.domain.access import may_drive_as, may_manage
from services.dispatch.repository import queries
from services.kit.context import Context
from services.kit.http import problems
from services.kit.http.dependencies import require

Dispatcher = Annotated[Principal, Depends(require(Scope.WAVE_MANAGE))]
Courier = Annotated[Principal, Depends(require(Scope.JOB_PROVE, Scope.RECORD_HAND_IN))]
"""A courier's device, or one that has ended."""
RouteReader = Annotated[Principal, Depends(require(Scope.JOB_READ))]
ShiftWriter = Annotated[Principal, Depends(require(Scope.SHIFT_WRITE))]
Customer = Annotated[Principal, Depends(require(Scope.PROMISE_READ))]
"""Everyone who places orders."""


def check_courier(caller: Principal, courier: str) -> None:
    """Raise the 404 of a courier that the caller may not act as."""
    if not may_drive_as(caller, courier):
        raise problems.not_found(f"courier {courier}")


async def check_wave(context: Context, caller: Principal, wave: str) -> None:
    """Raise the 404 of a wave that starts from a station outside of the caller's bounds."""
    if caller.bounds.stations is not None and not await _within(caller, queries.station_of_wave(context.pool, wave)):
        raise problems.not_found(f"wave {wave}")


async def check_job(context: Context, caller: Principal, job: UUID) -> None:
    """Raise the 404 of a job of another station, or of none yet, for a caller with bounds."""
    if caller.bounds.stations is not None and not await _within(caller, queries.station_of_job(context.pool, job)):
        raise problems.not_found(f"job {job}")


async def _within(caller: Principal, reading: Awaitable[str | None]) -> bool:
    station = await reading
    return station is not None and may_manage(caller, station)
