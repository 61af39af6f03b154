"""Routes of plans: a wave's plan, the problem behind it, and the planner for problems that are not stored."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from contracts.values import Slug
from services.dispatch.api.callers import Dispatcher, Planner, check_wave
from services.dispatch.api.schemas.plan import DiffView, PlanView
from services.dispatch.commands.plan import MOST_SECONDS, plan_problem
from services.dispatch.planning.diff import difference
from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import RoutingProblem
from services.dispatch.repository import queries
from services.dispatch.repository.planning import read_whole_problem
from services.kit.http.dependencies import Running
from services.kit.http.problems import conflict, not_found
from services.kit.http.responses import REVALIDATE, etag

router = APIRouter(prefix="/v1")


@router.post("/plan", tags=["plans"], max_body_size=2 * 1024 * 1024)
async def plan(
    _caller: Planner,
    problem: RoutingProblem,
    seconds: Annotated[float, Query(gt=0, le=MOST_SECONDS, description="the longest time to search")] = 2.0,
    seed: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> Plan:
    """Plan a problem without storing anything: at most 1 000 orders and 200 couriers, two problems at once.

    Every order is planned or unserved with reasons. 422 names each contradiction and its correction; 429 with
    `Retry-After` while other problems are planned.
    """
    return await plan_problem(problem, seconds, seed)


@router.get("/waves/{wave}/plan", tags=["waves"], response_model=PlanView)
async def read_plan(context: Running, caller: Dispatcher, request: Request, wave: Slug) -> Response:
    """Return the current plan of a wave, the reasons for jobs it leaves out, its changes against the plan before, and
    a drawing; 404 before there is a plan."""
    await check_wave(context, caller, wave)
    plans = await queries.plans(context.pool, wave, 2)
    if not plans:
        raise not_found(f"a plan of wave {wave}")
    (version, current), *before = plans
    stops = [UUID(stop.order) for route in current.routes for trip in route.trips for stop in trip.stops]
    jobs = await queries.stops(context.pool, stops)
    diff = DiffView.of(before[0][0], difference(before[0][1], current)) if before else None
    station = await queries.station(context.pool, wave)
    return etag(request, PlanView.of(wave, version, current, diff, jobs, station), cache=REVALIDATE)


@router.get("/waves/{wave}/problem", tags=["waves"])
async def read_problem(context: Running, caller: Dispatcher, wave: Slug) -> RoutingProblem:
    """Return the jobs of a wave as a routing problem, also after the wave has ended: for `POST /v1/plan` and what-ifs.

    Orders of erased recipients are not part of it. 404 for an unknown wave, 409 `blocked` where its station is
    unusable.
    """
    await check_wave(context, caller, wave)
    found = await read_whole_problem(context.store, wave)
    if found is None:
        raise not_found(f"wave {wave}")
    if found.problem is None:
        raise conflict(f"wave {wave} has no problem: {found.obstacle}", "blocked")
    return found.problem
