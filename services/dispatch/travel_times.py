"""Travel times of a routing problem: from the routing engine in the settings, else the planner's own estimate."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING

import structlog

from services.dispatch.planning.problem import RoutingProblem
from services.dispatch.settings import settings

if TYPE_CHECKING:
    from services.dispatch.planning.travel.engines import Roads

TIMEOUT_S = 3.0
_log = structlog.get_logger("halfday.travel_times")


async def with_travel_times(problem: RoutingProblem) -> RoutingProblem:
    """Return the problem with distances and times from the engine; unchanged, so that they are estimated, if no engine
    is set or it does not answer within `TIMEOUT_S`."""
    if settings().osrm is None and settings().valhalla is None:
        return problem
    from services.dispatch.planning.travel.engines import RoadsError

    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await asyncio.to_thread(lambda: _engine().measured(problem))
    except (RoadsError, TimeoutError) as error:
        _log.warning("travel times are estimated", error=str(error))
        return problem


@cache
def _engine() -> Roads:
    import httpx2

    from services.dispatch.planning.travel.engines import Osrm, Roads, Valhalla

    found = settings()
    client = httpx2.Client(base_url=found.osrm or found.valhalla or "", timeout=TIMEOUT_S)
    return Roads(Osrm(client) if found.osrm else Valhalla(client))
