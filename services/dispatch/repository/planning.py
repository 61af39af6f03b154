"""What the planning loop reads and claims; none of it in a transaction that outlives the statement."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import asyncpg

from contracts.events.catalog import CourierPut, StationPut
from services.dispatch.domain.catalog import key_of
from services.dispatch.domain.job import HANDED_OUT, JobState
from services.dispatch.domain.wave import Wave, plan_of
from services.dispatch.planning.plan import Plan, Unserved
from services.dispatch.planning.problem import Order, RoutingProblem
from services.dispatch.planning.replanning.keep_plan import carried, served
from services.dispatch.repository import rows as of
from services.dispatch.repository.problem_rows import Unusable, courier_of, order_of, station_of
from services.dispatch.repository.tables import LATE
from services.kit.transaction.unit_of_work import Pool

SHIFT_MARGIN = timedelta(hours=2)
"""Without any recorded shift a station's couriers come this long before the slot and are back this long after it."""

CARRIED = (JobState.DELIVERED, JobState.RETURNED)
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
where (wave = $1 and state = any($2)) or ({LATE} and waits[1] = $5) order by id
"""  # noqa: S608
_ROOM = "select capacity - (select count(*) from job where job.wave = w.id) from wave w where id = $1"
_WAITED_FOR = f"""
with asked as (select distinct substr(waits[1], length('wave/') + 1) as id from job where {LATE})
select id from asked join wave using (id) where state not in ('open', 'cut') order by slot_from, id limit 1
"""  # noqa: S608
_COURIERS = """
with crew as (select body from catalog where type = $1 and body->>'station' = $2),
at_work as (
  select distinct on (courier) courier, from_at, until_at from shift
  where (wave = $3 or market_day = $4) and from_at < $6 and until_at > $5
    and courier in (select body->>'id' from crew)
  order by courier, until_at - from_at desc
)
select body->>'id' as id, body->>'capacity_g' as capacity_g, body->>'cold_ml' as cold_ml,
  coalesce(from_at, $5 - $7::interval) as from_at, coalesce(until_at, $6 + $7::interval) as until_at
from crew left join at_work on courier = body->>'id'
where from_at is not null or not exists (select from at_work) or body->>'id' = any($8) order by id
"""
_STANDING = """
select wave.*, plan.body as plan from wave
left join plan on plan.wave = wave.id and plan.version = wave.version where id = $1
"""
_ENDED = """
select id from wave where state = 'released'
and not exists (select from job where wave = wave.id and state not in ('delivered', 'returned')) order by id limit 20
"""


@dataclass(frozen=True, slots=True)
class WaveProblem:
    """The jobs of a wave as a routing problem; `lost` are those that can't be part of it, with the reason. Where the
    station can't be used there is no problem: `obstacle` says why, and all jobs are lost."""

    problem: RoutingProblem | None
    lost: tuple[Unserved, ...]
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """A wave and the plan of its version, with the problem that the plan is to solve now: of jobs that are still
    wanted, and of couriers on shift or in the plan. `lost` are jobs that can't be part of it; `obstacle` says why there
    is no problem."""

    wave: Wave
    plan: Plan | None
    problem: RoutingProblem | None
    lost: tuple[Unserved, ...]
    obstacle: str = ""

    @property
    def late(self) -> tuple[str, ...]:
        """The orders of the problem that the plan does not serve: those that came late."""
        brought = served(self.plan) if self.plan else set()
        return tuple(order.id for order in self.problem.orders if order.id not in brought) if self.problem else ()

    def explained(self, plan: Plan) -> Plan:
        """The plan, with the reasons of what can't be part of the problem and of what the plan before had left out."""
        plan = replace(plan, unserved=(*plan.unserved, *self.lost))
        return carried(self.plan, plan) if self.plan else plan


async def claim_wave(pool: Pool, real: datetime, lease: timedelta) -> Wave | None:
    """A cut wave that nobody solves, claimed for `lease`; one whose solver died is free again when that has passed."""
    row = await pool.fetchrow(_CLAIM, real, real + lease)
    return of.wave_of(row) if row else None


async def block_wave(pool: Pool, wave: Wave, reason: str, until: datetime) -> None:
    """Notes on a cut wave why it can't be planned, and leaves it alone until then; a wave that has moved on meanwhile
    stays as it is."""
    await pool.execute(_BLOCK, wave.id, wave.version, reason, until)


async def blocked_waves(pool: Pool) -> dict[str, str]:
    """The waves that can't be planned, at most 20, each with the reason."""
    return {row["id"]: row["blocked"] for row in await pool.fetch(_BLOCKED)}


async def read_problem(
    pool: Pool,
    wave: Wave,
    states: Sequence[JobState] = (JobState.PLANNED,),
    crew: Collection[str] = (),
    *,
    late: bool = False,
) -> WaveProblem:
    """The wave's jobs in these states as a routing problem. Couriers of `crew` are in it also when they are not on
    shift; `late` jobs that wait for the wave's plan are in it as far as the wave has room.
    """
    asking = plan_of(wave.id) if late else None
    rows = await pool.fetch(_JOBS, wave.id, states, wave.slot_from, wave.slot_until, asking)
    rows, full = await _seated(pool, wave, rows)
    made = [order_of(row) for row in rows]
    lost = (*full, *(order for order in made if isinstance(order, Unserved)))
    body = await pool.fetchval("select body from catalog where key = $1", key_of(StationPut, wave.station))
    try:
        station = station_of(wave.station, body)
    except Unusable as wrong:
        return WaveProblem(None, (*full, *(Unserved(str(row["id"]), str(wrong)) for row in rows)), str(wrong))
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
    orders = tuple(order for order in made if isinstance(order, Order))
    return WaveProblem(RoutingProblem(station, tuple(map(courier_of, couriers)), orders), lost)


async def _seated(
    pool: Pool, wave: Wave, rows: Sequence[asyncpg.Record]
) -> tuple[list[asyncpg.Record], list[Unserved]]:
    """The rows without the late ones that the wave has no room for, and these."""
    late = [row["id"] for row in rows if row["late"]]
    full = late[max(await pool.fetchval(_ROOM, wave.id), 0) :] if late else []
    return [row for row in rows if row["id"] not in full], [Unserved(str(id), "the wave is full") for id in full]


async def problem_of(pool: Pool, wave: str) -> WaveProblem | None:
    """The problem of all that the wave has carried or will, for a second look at it; None where there is no such wave.
    Jobs of recipients who were erased can't be part of it."""
    row = await pool.fetchrow("select * from wave where id = $1", wave)
    return await read_problem(pool, of.wave_of(row), (JobState.PLANNED, *HANDED_OUT, *CARRIED)) if row else None


async def read_standing(pool: Pool, id: str) -> Standing | None:
    """A wave with its plan and problem as they stand; None where there is no such wave. The problem is read after the
    plan: what is made of them counts only if the wave still has the version read here."""
    row = await pool.fetchrow(_STANDING, id)
    if row is None:
        return None
    wave, plan = of.wave_of(row), of.plan_of(row["plan"]) if row["plan"] else None
    crew = [route.courier for route in plan.routes] if plan else []
    read = await read_problem(pool, wave, crew=crew, late=True)
    return Standing(wave, plan, read.problem, read.lost, read.obstacle)


async def waited_for(pool: Pool) -> str | None:
    """A wave that is planned or beyond, for whose plan late jobs wait; the earliest."""
    found: str | None = await pool.fetchval(_WAITED_FOR)
    return found


async def ended_waves(pool: Pool) -> Sequence[str]:
    """Released waves that seem to have no job under way; decide under the wave's lock."""
    return [row["id"] for row in await pool.fetch(_ENDED)]
