"""Where a wave's ways come from: the routing engine that the settings name, else the planner's own estimate."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING

import structlog

from services.dispatch.planning.problem import RoutingProblem
from services.dispatch.settings import settings

if TYPE_CHECKING:
    from services.dispatch.planning.travel.engines import Roads

PATIENCE_S = 3.0
_log = structlog.get_logger("halfday.ways")


async def measured(problem: RoutingProblem) -> RoutingProblem:
    """The problem with ways from the engine; as it is, to be estimated, where there is none or it doesn't answer."""
    if settings().osrm is None and settings().valhalla is None:
        return problem
    from services.dispatch.planning.travel.engines import RoadsError

    try:
        async with asyncio.timeout(PATIENCE_S):
            return await asyncio.to_thread(lambda: _roads().measured(problem))
    except (RoadsError, TimeoutError) as wrong:
        _log.warning("ways are estimated", error=str(wrong))
        return problem


@cache
def _roads() -> Roads:
    import httpx2

    from services.dispatch.planning.travel.engines import Osrm, Roads, Valhalla

    found = settings()
    client = httpx2.Client(base_url=found.osrm or found.valhalla or "", timeout=PATIENCE_S)
    return Roads(Osrm(client) if found.osrm else Valhalla(client))
