"""Use cases of a wave's plan: applying it, answering late jobs, and planning a problem that is not stored."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from contracts.events.dispatch import WavePlanned
from services.dispatch.commands.job import place
from services.dispatch.commands.wave import release_wave
from services.dispatch.domain.job.job import Job, JobState
from services.dispatch.domain.job.state_machine import Placed, decide
from services.dispatch.domain.wave import Wave, WaveState, plan_key, planned, slot_in
from services.dispatch.planning import validation
from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import RoutingProblem
from services.dispatch.planning.process import planner
from services.dispatch.planning.replanning.keep_plan import served
from services.dispatch.repository import WaveRepository
from services.kit.http.problems import InputError, Problem, unprocessable

MOST_ORDERS, MOST_COURIERS, MOST_SECONDS = 1000, 200, 30.0
"""The bounds of `plan_problem`."""
AT_ONCE = 2
"""The problems that `plan_problem` plans at the same time; the machine also plans waves."""
_running = asyncio.Semaphore(AT_ONCE)


def apply_plan(repository: WaveRepository, wave_id: str, version: int, plan: Plan) -> bool:
    """Make `plan` the wave's plan; return false, with nothing changed, if the wave is not at `version` any more or
    has no capacity for the late jobs in the plan.

    Jobs that the plan does not serve move to a later wave, or are refused with the plan's reason; so do late jobs that
    it gives a reason for. A wave without jobs is released at once.
    """
    wave = planned(repository.waves[wave_id], version)
    in_plan = served(plan)
    late = [job for job in _late_jobs(repository, wave_id) if str(job.id) in in_plan]
    if wave is None or (late and repository.job_counts[wave_id] + len(late) > wave.capacity):
        return False
    for job in late:
        repository.apply(decide(job, Placed(slot_in(wave, job.quote))))
    repository.waves.put(wave)
    repository.add_plan(wave, plan)
    jobs = _planned_jobs(repository, wave_id)
    left_out = [job for job in jobs if str(job.id) not in in_plan]
    _turn_away(repository, wave, [*left_out, *_late_jobs(repository, wave_id)], plan)
    stops = len(jobs) - len(left_out)
    repository.uow.emit(
        WavePlanned(
            wave=wave_id,
            version=wave.version,
            planner=plan.planner,
            routes=len(plan.routes),
            stops=stops,
            metres=plan.metres,
            unserved=len(plan.unserved),
            on_time=stops,  # windows are hard: a stop that would be late is left out
        )
    )
    _release_if_empty(repository, wave)
    return True


def answer_late_jobs(repository: WaveRepository, wave_id: str, version: int, plan: Plan) -> bool:
    """Answer the late jobs that wait for the wave's plan: apply `plan` if it serves any of them, else turn away
    those that it gives a reason for. Return false, with nothing changed, if the wave is not at `version` any more.
    """
    wave, late = repository.waves[wave_id], _late_jobs(repository, wave_id)
    if served(plan) & {str(job.id) for job in late}:
        return apply_plan(repository, wave_id, version, plan)
    if wave.version != version:
        return False
    _turn_away(repository, wave, late, plan)
    _release_if_empty(repository, wave)
    return True


def _turn_away(repository: WaveRepository, wave: Wave, jobs: Iterable[Job], plan: Plan) -> None:
    """Move jobs that the plan leaves out to a later wave, or refuse them with the plan's reason; waiting jobs that it
    does not mention keep waiting."""
    reasons = {order.order: order.reason for order in plan.unserved}
    for job in jobs:
        if job.state is JobState.PLANNED or str(job.id) in reasons:
            place(repository, job, reasons.get(str(job.id), "the plan left it out"), wave)


def _late_jobs(repository: WaveRepository, wave_id: str) -> list[Job]:
    """Return the jobs that wait for the wave's plan; the caller has locked the wave's jobs."""
    return [job for job in repository.jobs.values() if job.waits == (plan_key(wave_id),)]


def _planned_jobs(repository: WaveRepository, wave_id: str) -> list[Job]:
    jobs = repository.jobs.values()
    return [job for job in jobs if job.state is JobState.PLANNED and job.slot and job.slot.wave == wave_id]


def _release_if_empty(repository: WaveRepository, wave: Wave) -> None:
    if wave.state is WaveState.PLANNED and not (_planned_jobs(repository, wave.id) or _late_jobs(repository, wave.id)):
        release_wave(repository, wave, Plan((), (), 0, "none"))


async def plan_problem(problem: RoutingProblem, seconds: float, seed: int) -> Plan:
    """Plan a problem without storing anything.

    Raises a 422 problem if it is larger than `MOST_ORDERS` and `MOST_COURIERS` or contradicts itself, and 429 while
    `AT_ONCE` other problems are planned.
    """
    if len(problem.orders) > MOST_ORDERS or len(problem.couriers) > MOST_COURIERS:
        raise unprocessable("/orders", f"at most {MOST_ORDERS} orders and {MOST_COURIERS} couriers are allowed")
    try:
        validation.check(problem)
    except validation.InvalidProblem as error:
        faults = [InputError(f"#{flaw.pointer}", f"{flaw.message}; {flaw.mend}") for flaw in error.flaws]
        raise Problem(422, "unprocessable", "Validation failed", str(error.flaws[0]), errors=faults) from error
    if _running.locked():
        detail = f"{AT_ONCE} problems are being planned; retry in 5 s"
        raise Problem(429, "too-many", "Too many requests", detail, headers={"Retry-After": "5"})
    async with _running:
        return await planner.plan(problem, seconds, seed)
