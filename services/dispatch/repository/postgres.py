"""The tables of dispatch in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from contracts.events.catalog import CourierPut, SitePut, StationPut
from services.dispatch.domain.catalog import Catalog
from services.dispatch.domain.courier import Shift
from services.dispatch.domain.job.job import Job, JobState
from services.dispatch.domain.recipient import Recipient
from services.dispatch.domain.wave import Wave, plan_key
from services.dispatch.repository import erasure, rows, statements
from services.dispatch.repository.statements import WAITS_FOR_PLAN
from services.dispatch.repository.store import Changes, CrewMember, RouteJob, StoredWave, WaveJob, WaveStore
from services.kit.database import Connection

_CATALOG_LOCK = 7_100_001
"""The key of the advisory lock on the catalogue; no other lock of this database uses it."""
_CLAIM = """
update wave set solving_until = $2 where id = (
  select id from wave where state = 'cut' and coalesce(solving_until, $1) <= $1
  order by cutoff, id limit 1 for update skip locked
) returning *
"""
_BLOCK = "update wave set blocked = $3, solving_until = $4 where id = $1 and version = $2 and state = 'cut'"
_WAVE = """
select wave.*, plan.body as plan from wave
left join plan on plan.wave = wave.id and plan.version = wave.version where id = $1
"""
_WAVE_JOBS = f"""
select job.id, load_g, cold_ml, coalesce(slot_from, $3) as slot_from, coalesce(slot_until, $4) as slot_until,
  lat, lon, erased, state = 'incomplete' as late
from job join recipient using ("order")
where (wave = $1 and state = any($2)) or ({WAITS_FOR_PLAN} and waits[1] = $5) order by id
"""  # noqa: S608
_WITH_LATE_JOBS = f"""
with named as (select distinct substr(waits[1], length('wave/') + 1) as id from job where {WAITS_FOR_PLAN})
select id from named join wave using (id) where state not in ('open', 'cut') order by slot_from, id limit 1
"""  # noqa: S608
_CREW = """
with crew as (select body from catalog where type = $1 and body->>'station' = $2),
on_shift as (
  select distinct on (courier) courier, from_at, until_at from shift
  where (wave = $3 or market_day = $4) and from_at < $6 and until_at > $5
    and courier in (select body->>'id' from crew)
  order by courier, until_at - from_at desc
)
select body->>'id' as id, body->>'capacity_g' as capacity_g, body->>'cold_ml' as cold_ml, from_at, until_at
from crew left join on_shift on courier = body->>'id'
where from_at is not null or not exists (select from on_shift) or body->>'id' = any($7) order by id
"""
_ENDED = """
select id from wave where state = 'released'
and not exists (select from job where wave = wave.id and state not in ('delivered', 'returned')) order by id limit 20
"""
_ROUTE = """
select job.*, r.name, r.phone, r.address, r.lat, r.lon, r.code, r.erased, wave.state = 'released' as released,
  (select max(until_at) from shift s where s.courier = job.courier
    and (s.wave = job.wave or s.market_day = job.market_day)) as shift_until
from job join wave on wave.id = job.wave join recipient r on r."order" = job."order"
where courier = $1 and (job.state in ('assigned', 'loaded') or wave.state = 'released')
order by eta, trip, stop, job.id
"""
_SHIFT = """
insert into shift (id, courier, wave, market_day, from_at, until_at) values ($1, $2, $3, $4, $5, $6)
on conflict (id) do nothing
"""


class PostgresWaves(WaveStore):
    """All tables of dispatch over one connection or pool."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    async def lock_catalog(self, *, exclusive: bool) -> None:
        lock = "pg_advisory_xact_lock" if exclusive else "pg_advisory_xact_lock_shared"
        await self._conn.execute(f"select {lock}($1)", _CATALOG_LOCK)

    async def lock_orders(self, orders: Collection[UUID]) -> list[Recipient]:
        ids = list(orders)
        await self._conn.execute(
            'insert into recipient ("order") select id from unnest($1::uuid[]) as id order by id '
            "on conflict do nothing",
            ids,
        )
        found = await self._conn.fetch(
            'select * from recipient where "order" = any($1::uuid[]) order by "order" for update', ids
        )
        return [rows.recipient_of(row) for row in found]

    async def lock_waves(self, ids: Collection[str], market_days: Collection[str]) -> list[Wave]:
        found = await self._conn.fetch(
            "select * from wave where id = any($1::text[]) or market_day = any($2::text[]) order by id for update",
            list(ids),
            list(market_days),
        )
        return [rows.wave_of(row) for row in found]

    async def lock_jobs(self, ids: Collection[UUID]) -> list[Job]:
        return await self._lock_jobs("id = any($1::uuid[])", list(ids))

    async def lock_jobs_of_orders(self, orders: Collection[UUID]) -> list[Job]:
        return await self._lock_jobs('"order" = any($1::uuid[])', list(orders))

    async def lock_jobs_of_waves(self, waves: Collection[str]) -> list[Job]:
        where = f"wave = any($1::text[]) or ({WAITS_FOR_PLAN} and waits[1] = any($2::text[]))"
        return await self._lock_jobs(where, list(waves), list(map(plan_key, waves)))

    async def _lock_jobs(self, where: str, *keys: list[Any]) -> list[Job]:
        found = await self._conn.fetch(f"select * from job where {where} order by id for update", *keys)  # noqa: S608
        return [rows.job_of(row) for row in found]

    async def orders_waiting_for(self, entries: Collection[str]) -> list[UUID]:
        found = await self._conn.fetch(
            "select \"order\" from job where state = 'incomplete' and waits && $1::text[]", sorted(entries)
        )
        return [row["order"] for row in found]

    async def incomplete_market_days(self, orders: Collection[UUID]) -> list[str]:
        found = await self._conn.fetch(
            "select distinct market_day from job where state = 'incomplete' and \"order\" = any($1::uuid[])",
            list(orders),
        )
        return [row["market_day"] for row in found]

    async def count_jobs(self, waves: Collection[str]) -> Mapping[str, int]:
        found = await self._conn.fetch(
            "select wave, count(*) as jobs from job where wave = any($1::text[]) group by wave", list(waves)
        )
        return {row["wave"]: row["jobs"] for row in found}

    async def read_catalog(self, keys: Collection[str]) -> Catalog:
        found = await self._conn.fetch(
            "select key, type, body from catalog where key = any($1::text[]) or type = any($2::text[])",
            list(keys),
            [SitePut.TYPE, StationPut.TYPE],
        )
        return rows.catalog_of(found)

    async def read_recipients(self, orders: Collection[UUID]) -> list[Recipient]:
        found = await self._conn.fetch('select * from recipient where "order" = any($1::uuid[])', list(orders))
        return [rows.recipient_of(row) for row in found]

    async def save(self, changes: Changes) -> None:
        written: dict[str, Sequence[Any]] = {
            statements.CATALOG: [rows.catalog_row(entry) for entry in changes.entries],
            statements.RECIPIENT: changes.recipients,
            statements.WAVE: changes.waves,
            statements.JOB: [rows.job_row(job) for job in changes.jobs],
            statements.PLAN: changes.plans,
            statements.ATTEMPT: changes.attempts,
            statements.EVIDENCE: changes.evidence,
        }
        for statement, values in written.items():
            if values:
                await self._conn.execute(statement, rows.to_json(values))
        if changes.erased:
            await erasure.erase_notes(self._conn, changes.erased)

    async def record_shift(self, shift: Shift) -> Shift:
        await self._conn.execute(_SHIFT, *astuple(shift))
        row = await self._conn.fetchrow(
            "select id, courier, wave, market_day, from_at, until_at from shift where id = $1", shift.id
        )
        assert row, "the insert would have stored it"
        return Shift(**row)

    async def claim_wave(self, real: datetime, lease: timedelta) -> Wave | None:
        row = await self._conn.fetchrow(_CLAIM, real, real + lease)
        return rows.wave_of(row) if row else None

    async def block_wave(self, wave: Wave, reason: str, until: datetime) -> None:
        await self._conn.execute(_BLOCK, wave.id, wave.version, reason, until)

    async def wave_with_late_jobs(self) -> str | None:
        found: str | None = await self._conn.fetchval(_WITH_LATE_JOBS)
        return found

    async def ended_waves(self) -> Sequence[str]:
        return [row["id"] for row in await self._conn.fetch(_ENDED)]

    async def read_wave(self, id: str) -> StoredWave | None:
        row = await self._conn.fetchrow(_WAVE, id)
        if row is None:
            return None
        return StoredWave(rows.wave_of(row), rows.plan_of(row["plan"]) if row["plan"] else None, row["blocked"])

    async def read_wave_jobs(self, wave: Wave, states: Collection[JobState], *, late: bool) -> list[WaveJob]:
        waits = plan_key(wave.id) if late else None
        found = await self._conn.fetch(_WAVE_JOBS, wave.id, list(states), wave.slot_from, wave.slot_until, waits)
        return [WaveJob(*row) for row in found]

    async def read_crew(self, wave: Wave, crew: Collection[str]) -> list[CrewMember]:
        day = (wave.station, wave.id, wave.market_day, wave.slot_from, wave.slot_until)
        return [CrewMember(*row) for row in await self._conn.fetch(_CREW, CourierPut.TYPE, *day, list(crew))]

    async def read_entry(self, key: str) -> Mapping[str, Any] | None:
        body = await self._conn.fetchval("select body from catalog where key = $1", key)
        return orjson.loads(body) if body else None

    async def read_route(self, courier: str) -> list[RouteJob]:
        return [
            RouteJob(rows.job_of(row), rows.recipient_of(row), row["released"], row["shift_until"])
            for row in await self._conn.fetch(_ROUTE, courier)
        ]
