"""The stateless planner: a problem in, a plan out, nothing kept."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from services.dispatch.planning import validation
from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import RoutingProblem
from services.dispatch.planning.process import planner
from services.kit.http.dependencies import require
from services.kit.http.problems import InputError, unprocessable
from services.kit.http.problems import Problem as Refusal

router = APIRouter(prefix="/v1", tags=["plans"])
MOST_ORDERS, MOST_COURIERS, MOST_S = 1000, 200, 30.0
_AT_ONCE = 2
_running = asyncio.Semaphore(_AT_ONCE)


@router.post("/plan", dependencies=[Depends(require("operator", "leader"))], max_body_size=2 * 1024 * 1024)
async def plan(
    problem: RoutingProblem,
    seconds: Annotated[float, Query(gt=0, le=MOST_S, description="how long to search at most")] = 2.0,
    seed: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> Plan:
    """Plans without keeping anything: at most 1 000 orders and 200 couriers, two plans at once.

    Every order is planned or unserved with reasons. 422 says what makes no sense and how to mend it; 429 with
    `Retry-After` while others are planned.
    """
    if len(problem.orders) > MOST_ORDERS or len(problem.couriers) > MOST_COURIERS:
        raise unprocessable("/orders", f"at most {MOST_ORDERS} orders and {MOST_COURIERS} couriers")
    try:
        validation.check(problem)
    except validation.Nonsense as wrong:
        faults = [InputError(f"#{flaw.pointer}", f"{flaw.message}; {flaw.mend}") for flaw in wrong.flaws]
        raise Refusal(422, "unprocessable", "Unusable content", str(wrong.flaws[0]), errors=faults) from wrong
    if _running.locked():
        raise Refusal(429, "too-many", "Too many plans at once", "Repeat it later", headers={"Retry-After": "5"})
    async with _running:
        return await planner.plan(problem, seconds, seed)
