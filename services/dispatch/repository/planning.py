"""The routing problem of a wave and its current plan, read without a transaction that outlives a statement."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from contracts.events.catalog import StationPut
from services.dispatch.domain.catalog import catalog_key
from services.dispatch.domain.job.job import HANDED_OUT, JobState
from services.dispatch.domain.wave import Wave
from services.dispatch.planning.plan import Plan, Unserved
from services.dispatch.planning.problem import Order, RoutingProblem
from services.dispatch.planning.replanning.keep_plan import carry_reasons, served
from services.dispatch.repository.routing_rows import Unusable, courier_of, order_of, station_of
from services.dispatch.repository.store import WaveJob, WaveStore

DRIVEN = (JobState.DELIVERED, JobState.RETURNED)


@dataclass(frozen=True, slots=True)
class WaveProblem:
    """The jobs of a wave as a routing problem; `excluded` are jobs that cannot be part of it, with reasons.

    Where the station is unusable there is no problem: `obstacle` gives the reason, and all jobs are excluded.
    """

    problem: RoutingProblem | None
    excluded: tuple[Unserved, ...]
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class CurrentPlan:
    """A wave, the plan of its version, and the routing problem as it is now.

    The problem has the jobs that are still wanted, and the couriers on shift or in the plan. `excluded` are jobs that
    cannot be part of it; `obstacle` is the reason why there is no problem.
    """

    wave: Wave
    plan: Plan | None
    problem: RoutingProblem | None
    excluded: tuple[Unserved, ...]
    obstacle: str = ""

    @property
    def late(self) -> tuple[str, ...]:
        """The orders of the problem that the plan does not serve: they arrived after it was made."""
        planned = served(self.plan) if self.plan else set()
        return tuple(order.id for order in self.problem.orders if order.id not in planned) if self.problem else ()

    def explained(self, plan: Plan) -> Plan:
        """Return a new plan with the reasons of the excluded jobs, and of those that the current plan left out."""
        plan = replace(plan, unserved=(*plan.unserved, *self.excluded))
        return carry_reasons(self.plan, plan) if self.plan else plan


async def read_problem(
    store: WaveStore,
    wave: Wave,
    states: Collection[JobState] = (JobState.PLANNED,),
    crew: Collection[str] = (),
    *,
    late: bool = False,
) -> WaveProblem:
    """Return the wave's jobs in these states as a routing problem.

    Couriers of `crew` are part of it even if they are not on shift. With `late`, jobs that wait for the wave's plan are
    part of it as far as the wave has free capacity.
    """
    jobs, surplus = await _within_capacity(store, wave, await store.read_wave_jobs(wave, states, late=late))
    try:
        station = station_of(wave.station, await store.read_entry(catalog_key(StationPut, wave.station)))
    except Unusable as error:
        return WaveProblem(None, (*surplus, *(Unserved(str(job.id), str(error)) for job in jobs)), str(error))
    couriers = tuple(courier_of(member, wave) for member in await store.read_crew(wave, crew))
    converted = [order_of(job) for job in jobs]
    orders = tuple(order for order in converted if isinstance(order, Order))
    excluded = (*surplus, *(order for order in converted if isinstance(order, Unserved)))
    return WaveProblem(RoutingProblem(station, couriers, orders), excluded)


async def _within_capacity(
    store: WaveStore, wave: Wave, jobs: Sequence[WaveJob]
) -> tuple[list[WaveJob], list[Unserved]]:
    """Return the jobs without the late ones that exceed the wave's capacity, and those."""
    late = [job.id for job in jobs if job.late]
    taken = (await store.count_jobs([wave.id])).get(wave.id, 0) if late else 0
    surplus = late[max(wave.capacity - taken, 0) :]
    return [job for job in jobs if job.id not in surplus], [Unserved(str(id), "the wave is full") for id in surplus]


async def read_whole_problem(store: WaveStore, wave_id: str) -> WaveProblem | None:
    """Return the problem of all jobs that the wave carries or has carried; None if the wave does not exist.

    Jobs of erased recipients are excluded.
    """
    stored = await store.read_wave(wave_id)
    return await read_problem(store, stored.wave, (JobState.PLANNED, *HANDED_OUT, *DRIVEN)) if stored else None


async def read_current_plan(store: WaveStore, wave_id: str) -> CurrentPlan | None:
    """Return a wave with its current plan and problem; None if the wave does not exist.

    The problem is read after the plan, so a new plan made from them counts only if the wave still has this version.
    """
    stored = await store.read_wave(wave_id)
    if stored is None:
        return None
    crew = [route.courier for route in stored.plan.routes] if stored.plan else []
    read = await read_problem(store, stored.wave, crew=crew, late=True)
    return CurrentPlan(stored.wave, stored.plan, read.problem, read.excluded, read.obstacle)
