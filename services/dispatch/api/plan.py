"""Routes of plans: a wave's plan, the problem behind it, and the planner for problems that are not stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import TypeAdapter

from contracts.values import Slug
from services.dispatch.api.callers import Dispatcher, check_wave
from services.dispatch.api.schemas.plan import DiffView, PlanView
from services.dispatch.commands.plan import MOST_SECONDS, plan_problem
from services.dispatch.planning.diff import difference
from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import RoutingProblem
from services.dispatch.repository import queries
from services.dispatch.repository.planning import read_whole_problem
from services.kit.http.dependencies import Running
from services.kit.http.problems import conflict, not_found
from services.kit.http.responses import NO_STORE, etag
from services.kit.transaction.access_log import Shown, log_reading

router = APIRouter(prefix="/v1")
_PROBLEM = TypeAdapter(RoutingProblem)


@router.post("/plan", tags=["plans"], max_body_size=2 * 1024 * 1024)
async def plan(
    _caller: Dispatcher,
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
    async with context.unit() as uow:
        plans = await queries.plans(uow.conn, wave, 2)
        if not plans:
            raise not_found(f"a plan of wave {wave}")
        (version, current), *before = plans
        stops = [UUID(stop.order) for route in current.routes for trip in route.trips for stop in trip.stops]
        jobs = await queries.stops(uow.conn, stops)
        diff = DiffView.of(before[0][0], difference(before[0][1], current)) if before else None
        station = await queries.station(uow.conn, wave)
        answer = etag(request, PlanView.of(wave, version, current, diff, jobs, station), cache=NO_STORE)
        if answer.body:
            await log_reading(uow, caller, "plan", _addresses(jobs), hourly=True)
    return answer


@router.get("/waves/{wave}/problem", tags=["waves"], response_model=RoutingProblem)
async def read_problem(context: Running, caller: Dispatcher, wave: Slug) -> Response:
    """Return the jobs of a wave as a routing problem, also after the wave has ended: for `POST /v1/plan` and what-ifs.

    Orders of erased recipients are not part of it. 404 for an unknown wave, 409 `blocked` where its station is
    unusable.
    """
    await check_wave(context, caller, wave)
    async with context.unit() as uow:
        found = await read_whole_problem(uow.store, wave)
        if found is None:
            raise not_found(f"wave {wave}")
        if found.problem is None:
            raise conflict(f"wave {wave} has no problem: {found.obstacle}", "blocked")
        jobs = await queries.stops(uow.conn, [UUID(order.id) for order in found.problem.orders])
        await log_reading(uow, caller, "problem", _addresses(jobs))
    content = _PROBLEM.dump_json(found.problem)
    return Response(content, headers={"Cache-Control": NO_STORE}, media_type="application/json")


def _addresses(jobs: Mapping[UUID, Mapping[str, Any]]) -> dict[UUID, list[Shown]]:
    """Return what an answer with the positions of these jobs shows, by order."""
    return {job["order"]: [Shown.ADDRESS] for job in jobs.values() if job["lat"] is not None}
