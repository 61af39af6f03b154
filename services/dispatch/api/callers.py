"""The parameter types of routes: the callers by the scope that a route needs."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from contracts.scopes import Scope
from contracts.values import Principal
from services.kit.http.dependencies import require

Dispatcher = Annotated[Principal, Depends(require(Scope.WAVE_MANAGE))]
Courier = Annotated[Principal, Depends(require(Scope.JOB_PROVE))]
RouteReader = Annotated[Principal, Depends(require(Scope.JOB_READ))]
ShiftWriter = Annotated[Principal, Depends(require(Scope.SHIFT_WRITE))]
Planner = Annotated[Principal, Depends(require(Scope.PLAN_MAKE))]
Customer = Annotated[Principal, Depends(require(Scope.PROMISE_READ))]
"""Everyone who places orders."""
