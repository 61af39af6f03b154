"""Reads and claims of the planning loop; no transaction outlives its statement."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import asyncpg

from contracts.events.catalog import CourierPut, StationPut
from services.dispatch.domain.catalog import catalog_key
from services.dispatch.domain.job.job import HANDED_OUT, JobState
from services.dispatch.domain.wave import Wave, plan_key
from services.dispatch.planning.plan import Plan, Unserved
from services.dispatch.planning.problem import Order, RoutingProblem
from services.dispatch.planning.replanning.keep_plan import carry_reasons, served
from services.dispatch.repository import rows
from services.dispatch.repository.routing_rows import Unusable, courier_of, order_of, station_of
from services.dispatch.repository.statements import WAITS_FOR_PLAN
from services.kit.database import Pool

SHIFT_MARGIN = timedelta(hours=2)
"""The working time of a station's couriers when no shift is recorded: this long before the slot until this long after
it."""

DRIVEN = (JobState.DELIVERED, JobState.RETURNED)
_CLAIM = """
update wave set solving_until = $2 where id = (
  select id from wave where state = 'cut' and coalesce(solving_until, $1) <= $1
  order by cutoff, id limit 1 for update skip locked
) returning *
"""
_BLOCK = "update wave set blocked = $3, solving_until = $4 where id = $1 and version = $2 and state = 'cut'"
_BLOCKED = "select id, blocked from wave where blocked is not null order by cutoff, id limit 20"
_JOBS = f"""
select job.id, load_g, cold_ml, coalesce(slot_from, $3) as slot_from, coalesce(slot_until, $4) as slot_until,
  lat, lon, erased, state = 'incomplete' as late
from job join recipient using ("order")
where (wave = $1 and state = any($2)) or ({WAITS_FOR_PLAN} and waits[1] = $5) order by id
"""  # noqa: S608
_FREE_CAPACITY = "select capacity - (select count(*) from job where job.wave = w.id) from wave w where id = $1"
_WITH_LATE_JOBS = f"""
with named as (select distinct substr(waits[1], length('wave/') + 1) as id from job where {WAITS_FOR_PLAN})
select id from named join wave using (id) where state not in ('open', 'cut') order by slot_from, id limit 1
"""  # noqa: S608
_COURIERS = """
with crew as (select body from catalog where type = $1 and body->>'station' = $2),
on_shift as (
  select distinct on (courier) courier, from_at, until_at from shift
  where (wave = $3 or market_day = $4) and from_at < $6 and until_at > $5
    and courier in (select body->>'id' from crew)
  order by courier, until_at - from_at desc
)
select body->>'id' as id, body->>'capacity_g' as capacity_g, body->>'cold_ml' as cold_ml,
  coalesce(from_at, $5 - $7::interval) as from_at, coalesce(until_at, $6 + $7::interval) as until_at
from crew left join on_shift on courier = body->>'id'
where from_at is not null or not exists (select from on_shift) or body->>'id' = any($8) order by id
"""
_CURRENT_PLAN = """
select wave.*, plan.body as plan from wave
left join plan on plan.wave = wave.id and plan.version = wave.version where id = $1
"""
_ENDED = """
select id from wave where state = 'released'
and not exists (select from job where wave = wave.id and state not in ('delivered', 'returned')) order by id limit 20
"""


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


async def claim_wave(pool: Pool, real: datetime, lease: timedelta) -> Wave | None:
    """Claim a cut wave for `lease` of wall-clock time; None without one.

    The wave of a crashed worker is free again when its lease has passed.
    """
    row = await pool.fetchrow(_CLAIM, real, real + lease)
    return rows.wave_of(row) if row else None


async def block_wave(pool: Pool, wave: Wave, reason: str, until: datetime) -> None:
    """Record why a cut wave cannot be planned, and leave it alone until then. A wave that has changed meanwhile stays
    as it is."""
    await pool.execute(_BLOCK, wave.id, wave.version, reason, until)


async def blocked_waves(pool: Pool) -> dict[str, str]:
    """Return the waves that cannot be planned, at most 20, each with its reason."""
    return {row["id"]: row["blocked"] for row in await pool.fetch(_BLOCKED)}


async def read_problem(
    pool: Pool,
    wave: Wave,
    states: Sequence[JobState] = (JobState.PLANNED,),
    crew: Collection[str] = (),
    *,
    late: bool = False,
) -> WaveProblem:
    """Return the wave's jobs in these states as a routing problem.

    Couriers of `crew` are part of it even if they are not on shift. With `late`, jobs that wait for the wave's plan are
    part of it as far as the wave has free capacity.
    """
    waits = plan_key(wave.id) if late else None
    jobs = await pool.fetch(_JOBS, wave.id, states, wave.slot_from, wave.slot_until, waits)
    jobs, surplus = await _within_capacity(pool, wave, jobs)
    body = await pool.fetchval("select body from catalog where key = $1", catalog_key(StationPut, wave.station))
    try:
        station = station_of(wave.station, body)
    except Unusable as error:
        return WaveProblem(None, (*surplus, *(Unserved(str(row["id"]), str(error)) for row in jobs)), str(error))
    couriers = await pool.fetch(
        _COURIERS,
        CourierPut.TYPE,
        wave.station,
        wave.id,
        wave.market_day,
        wave.slot_from,
        wave.slot_until,
        SHIFT_MARGIN,
        list(crew),
    )
    converted = [order_of(row) for row in jobs]
    orders = tuple(order for order in converted if isinstance(order, Order))
    excluded = (*surplus, *(order for order in converted if isinstance(order, Unserved)))
    return WaveProblem(RoutingProblem(station, tuple(map(courier_of, couriers)), orders), excluded)


async def _within_capacity(
    pool: Pool, wave: Wave, jobs: Sequence[asyncpg.Record]
) -> tuple[list[asyncpg.Record], list[Unserved]]:
    """Return the jobs without the late ones that exceed the wave's capacity, and those."""
    late = [row["id"] for row in jobs if row["late"]]
    surplus = late[max(await pool.fetchval(_FREE_CAPACITY, wave.id), 0) :] if late else []
    return [row for row in jobs if row["id"] not in surplus], [Unserved(str(id), "the wave is full") for id in surplus]


async def read_whole_problem(pool: Pool, wave: str) -> WaveProblem | None:
    """Return the problem of all jobs that the wave carries or has carried; None if the wave does not exist.

    Jobs of erased recipients are excluded.
    """
    row = await pool.fetchrow("select * from wave where id = $1", wave)
    return await read_problem(pool, rows.wave_of(row), (JobState.PLANNED, *HANDED_OUT, *DRIVEN)) if row else None


async def read_current_plan(pool: Pool, wave_id: str) -> CurrentPlan | None:
    """Return a wave with its current plan and problem; None if the wave does not exist.

    The problem is read after the plan, so a new plan made from them counts only if the wave still has this version.
    """
    row = await pool.fetchrow(_CURRENT_PLAN, wave_id)
    if row is None:
        return None
    wave, plan = rows.wave_of(row), rows.plan_of(row["plan"]) if row["plan"] else None
    crew = [route.courier for route in plan.routes] if plan else []
    read = await read_problem(pool, wave, crew=crew, late=True)
    return CurrentPlan(wave, plan, read.problem, read.excluded, read.obstacle)


async def wave_with_late_jobs(pool: Pool) -> str | None:
    """Return the earliest wave, planned or beyond, with late jobs waiting for its plan; None without one."""
    found: str | None = await pool.fetchval(_WITH_LATE_JOBS)
    return found


async def ended_waves(pool: Pool) -> Sequence[str]:
    """Return released waves, at most 20, that have no open job; decide again under the wave's lock."""
    return [row["id"] for row in await pool.fetch(_ENDED)]
