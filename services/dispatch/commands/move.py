"""Use cases of moves by hand: a dispatcher's changes of a wave's plan, checked, priced and applied."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from contracts.values import Principal
from services.dispatch.commands.plan import apply_plan
from services.dispatch.domain.wave import Wave, WaveState
from services.dispatch.planning.diff import Diff, difference
from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import RoutingProblem
from services.dispatch.planning.replanning import keep_plan, moves
from services.dispatch.repository import WaveRepository
from services.dispatch.repository.planning import CurrentPlan, read_current_plan
from services.dispatch.travel_times import with_travel_times
from services.kit.context import Context
from services.kit.http.problems import InputError, Problem, conflict, not_found, unprocessable
from services.kit.transaction.access_log import log_act
from services.kit.transaction.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Move:
    """One move: `jobs` go into the courier's `trip` (from 1), before the job `before` or at the end."""

    jobs: tuple[UUID, ...]
    courier: str
    trip: int
    before: UUID | None
    new_trip: bool


@dataclass(frozen=True, slots=True)
class Draft:
    """The plan of a wave after moves for `version`, and what they change; without both if the wave has another one."""

    wave: Wave
    version: int
    change: tuple[Plan, Diff] | None

    def checked(self) -> tuple[Plan, Diff]:
        """Return the plan and the diff. Raises a 409 problem if the wave cannot take them."""
        if self.change is None:
            raise _rejected(self.wave, self.version)
        return self.change


async def draft_moves(context: Context, wave_id: str, version: int, moves: Sequence[Move]) -> Draft:
    """Check and price moves on the plan of a wave, and change nothing.

    Raises a 404 problem if the wave does not exist, 409 `blocked` if its station is unusable, and 422 for a move that
    is impossible or breaks a rule.
    """
    current = await read_current_plan(context.store, wave_id)
    if current is None:
        raise not_found(f"wave {wave_id}")
    if current.obstacle:
        raise conflict(f"the plan of wave {wave_id} cannot be changed: {current.obstacle}", "blocked")
    return Draft(current.wave, version, await _draft(current, version, moves))


async def apply_moves(uow: UnitOfWork, draft: Draft, caller: Principal) -> int:
    """Make the draft the wave's plan and return the wave's new version.

    Raises a 409 problem `wave-moved`, `not-planned` or `handed-out` if the wave cannot take it.
    """
    repository = WaveRepository(uow)
    await repository.lock_plan(draft.wave)
    id = draft.wave.id
    if draft.change is None or not apply_plan(repository, id, draft.version, draft.change[0]):
        raise _rejected(repository.waves[id], draft.version)
    await repository.save()
    await log_act(uow, caller, "move", f"wave/{id}")
    return repository.waves[id].version


async def _draft(current: CurrentPlan, version: int, moves: Sequence[Move]) -> tuple[Plan, Diff] | None:
    wave, plan, problem = current.wave, current.plan, current.problem
    if (wave.state, wave.version) != (WaveState.PLANNED, version) or not (plan and problem):
        return None
    early = tuple(order for order in problem.orders if order.id not in current.late)
    problem = await with_travel_times(replace(problem, orders=early))
    before = await asyncio.to_thread(keep_plan.drop_removed, problem, plan)
    after = await asyncio.to_thread(_moved, problem, before, moves)
    return current.explained(after), difference(before, after)


def _moved(problem: RoutingProblem, plan: Plan, given: Sequence[Move]) -> Plan:
    """Return the plan after the moves, one after the other.

    Raises a 422 problem for jobs and couriers that do not exist, and if the final plan breaks rules: each rule is named
    with the first move since which it is broken.
    """
    broken_since: dict[str, int] = {}
    for n, move in enumerate(given):
        _require_known(problem, n, move)
        orders, before = [str(job) for job in move.jobs], str(move.before) if move.before else None
        try:
            result = moves.move(problem, plan, orders, move.courier, move.trip, before, new_trip=move.new_trip)
        except ValueError as error:
            raise unprocessable(f"/moves/{n}", str(error)) from error
        plan = result.plan
        broken_since = {breach: broken_since.get(breach, n) for breach in result.breaches}
    if broken_since:
        errors = [InputError(f"#/moves/{n}", breach) for breach, n in broken_since.items()]
        raise Problem(422, "rules-broken", "The plan would break rules", errors[0].message, errors=errors)
    return plan


def _require_known(problem: RoutingProblem, n: int, move: Move) -> None:
    jobs, couriers = {order.id for order in problem.orders}, sorted(courier.id for courier in problem.couriers)
    for k, job in enumerate(move.jobs):
        if str(job) not in jobs:
            raise unprocessable(f"/moves/{n}/jobs/{k}", f"job {job} is not in this wave")
    if move.courier not in couriers:
        detail = f"courier {move.courier} is not in this wave, expected one of {', '.join(couriers)}"
        raise unprocessable(f"/moves/{n}/courier", detail)


def _rejected(wave: Wave, version: int) -> Problem:
    if wave.state in {WaveState.OPEN, WaveState.CUT}:
        return conflict(f"wave {wave.id} is {wave.state}: it has no plan yet", "not-planned")
    if wave.state is not WaveState.PLANNED:
        instead = "reassign single jobs with POST /v1/jobs/{job}:reassign"
        return conflict(f"wave {wave.id} is {wave.state}: its routes are handed out; {instead}", "handed-out")
    instead = f"read GET /v1/waves/{wave.id}/plan and send the moves for that version"
    versions = f"at version {wave.version}, the moves are for version {version}"
    return conflict(f"wave {wave.id} is {versions}; {instead}", "wave-moved")
