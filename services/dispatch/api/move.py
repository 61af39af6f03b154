"""A wave's plan changed by hand, while it stands and nobody has it in hand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from fastapi import APIRouter, Response

from contracts.values import Slug
from services.dispatch.api.common import OPERATOR, Running, once
from services.dispatch.api.schemas.plan import DiffView, MoveBody, MovesBody, PlanChange
from services.dispatch.commands import waves
from services.dispatch.domain.wave import Wave, WaveState
from services.dispatch.planning.diff import Diff, difference
from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import RoutingProblem
from services.dispatch.planning.replanning import keep_plan, moves
from services.dispatch.repository import WaveRepository
from services.dispatch.repository.planning import Standing, read_standing
from services.dispatch.travel_times import measured
from services.kit.http import problems
from services.kit.http.dependencies import IdempotencyKey
from services.kit.http.problems import InputError, conflict, not_found
from services.kit.ids import id_of_request
from services.kit.transaction.unit_of_work import UnitOfWork

router = APIRouter(prefix="/v1/waves", tags=["waves"], dependencies=[OPERATOR])


@router.post("/{wave}/plan:apply", response_model=PlanChange)
async def apply(
    running: Running, wave: Slug, body: MovesBody, dry_run: bool = False, idempotency_key: IdempotencyKey = None
) -> PlanChange | Response:
    """Checks and prices the moves and, unless it is a `dry_run`, makes them the wave's plan of the next version.

    409 `wave-moved` where the wave is no longer at `version`, `not-planned` and `handed-out` where there is nothing to
    change. 422 names each rule that the plan would break with the move that breaks it. The same request again under its
    Idempotency-Key gets the same answer.
    """
    found = await read_standing(running.pool, wave)
    if found is None:
        raise not_found(f"Wave {wave}")
    if found.obstacle:
        raise conflict(f"Wave {wave} can't be changed: {found.obstacle}", "blocked")
    draft = await _draft(found, body)
    if dry_run and draft is None:
        raise _refused(found.wave, body.version)
    if dry_run and draft:
        diff = DiffView.of(body.version, draft[1])
        return PlanChange(wave=wave, version=body.version, applied=False, diff=diff)

    async def work(uow: UnitOfWork) -> PlanChange:
        book = WaveRepository(uow, None)
        await book.lock_plan(found.wave)
        if draft is None or not waves.apply(book, wave, body.version, draft[0]):
            raise _refused(book.waves[wave], body.version)
        await book.save()
        diff = DiffView.of(body.version, draft[1])
        return PlanChange(wave=wave, version=book.waves[wave].version, applied=True, diff=diff)

    return await once(running, f"plan:apply/{wave}", id_of_request(idempotency_key, None), body, work)


async def _draft(found: Standing, body: MovesBody) -> tuple[Plan, Diff] | None:
    """The plan after the moves and what they change; None where they are for another version of the wave."""
    if (found.wave.state, found.wave.version) != (WaveState.PLANNED, body.version) or not (
        found.plan and found.problem
    ):
        return None
    early = tuple(order for order in found.problem.orders if order.id not in found.late)
    problem = await measured(replace(found.problem, orders=early))
    before = await asyncio.to_thread(keep_plan.remaining, problem, found.plan)
    after = await asyncio.to_thread(moved, problem, before, body.moves)
    return found.explained(after), difference(before, after)


def moved(problem: RoutingProblem, plan: Plan, asked: Sequence[MoveBody]) -> Plan:
    """The plan after the moves, one after the other. Raises a 422 problem for what doesn't exist, and where the plan
    in the end would break rules: each with the first move since which it is broken."""
    since: dict[str, int] = {}
    for n, move in enumerate(asked):
        _known(problem, n, move)
        orders, before = [str(job) for job in move.jobs], str(move.before) if move.before else None
        try:
            made = moves.move(problem, plan, orders, move.courier, move.trip, before, new_trip=move.new_trip)
        except ValueError as wrong:
            raise problems.unprocessable(f"/moves/{n}", str(wrong)) from wrong
        plan = made.plan
        since = {breach: since.get(breach, n) for breach in made.breaches}
    if since:
        faults = [InputError(f"#/moves/{n}", breach) for breach, n in since.items()]
        raise problems.Problem(422, "rules-broken", "The plan would break rules", faults[0].message, errors=faults)
    return plan


def _known(problem: RoutingProblem, n: int, move: MoveBody) -> None:
    jobs, crew = {order.id for order in problem.orders}, sorted(courier.id for courier in problem.couriers)
    for k, job in enumerate(move.jobs):
        if str(job) not in jobs:
            raise problems.unprocessable(f"/moves/{n}/jobs/{k}", f"job {job} is not in this wave")
    if move.courier not in crew:
        raise problems.unprocessable(f"/moves/{n}/courier", f"the wave's couriers are {', '.join(crew)}")


def _refused(wave: Wave, version: int) -> problems.Problem:
    if wave.state in {WaveState.OPEN, WaveState.CUT}:
        return conflict(f"The wave is {wave.state}: it has no plan yet", "not-planned")
    if wave.state is not WaveState.PLANNED:
        how = "give single jobs to another courier with POST /v1/jobs/{job}:reassign"
        return conflict(f"The wave is {wave.state}, its routes are handed out: {how}", "handed-out")
    look = f"GET /v1/waves/{wave.id}/plan says what has changed since; send the moves for that version"
    return conflict(f"The wave is at version {wave.version}, the moves are for version {version}: {look}", "wave-moved")
