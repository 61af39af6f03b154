"""Read queries of the API: single statements, no locks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from contracts.events.catalog import MarketDayPut, SitePut
from services.dispatch.domain.catalog import Catalog
from services.dispatch.domain.wave import Wave
from services.dispatch.planning.plan import Plan
from services.dispatch.repository import rows
from services.kit.database import Pool, Reader

Row = dict[str, Any]
_WAVES = """
select w.*, coalesce(j.jobs, '{}') as jobs, p.version as plan_version, p.body as plan
from wave w
left join lateral (select jsonb_object_agg(state, n) as jobs from (
  select state, count(*) as n from job where wave = w.id group by state) s) j on true
left join lateral (select version, body from plan where wave = w.id order by version desc limit 1) p on true
"""
_JOBS = """
select * from job
where ($1::uuid is null or "order" = $1) and ($2::text is null or wave = $2) and ($3::text is null or courier = $3)
  and ($4::text is null or state = $4) and ($5::uuid is null or id > $5)
  and ($6::text[] is null or exists (select from wave where wave.id = job.wave and station = any($6)))
order by id limit $7
"""


def _list(ids: Collection[str] | None) -> list[str] | None:
    return None if ids is None else list(ids)


def _row(record: asyncpg.Record, *json: str) -> Row:
    return dict(record) | {name: orjson.loads(record[name]) for name in json if record[name] is not None}


def _wave(record: asyncpg.Record) -> Row:
    row = _row(record, "jobs")
    plan = rows.plan_of(record["plan"]) if record["plan"] else None
    figures = plan and {
        "version": row["plan_version"],
        "planner": plan.planner,
        "routes": len(plan.routes),
        "stops": plan.stops,
        "metres": plan.metres,
        "unserved": len(plan.unserved),
    }
    return row | {"wave": row["id"], "plan": figures}


async def wave(pool: Pool, id: str) -> Row | None:
    """Return a wave with its job counts and the figures of its plan; None if it does not exist."""
    record = await pool.fetchrow(f"{_WAVES} where w.id = $1", id)
    return _wave(record) if record else None


async def waves(
    pool: Pool, market_day: str | None, state: str | None, stations: Collection[str] | None, after: str, limit: int
) -> list[Row]:
    """Return the waves after the id `after`, in order of id; of these stations, or of all."""
    where = (
        "where ($1::text is null or market_day = $1) and ($2::text is null or state = $2) "
        "and ($3::text[] is null or station = any($3)) and w.id > $4"
    )
    found = await pool.fetch(
        f"{_WAVES} {where} order by w.id limit $5", market_day, state, _list(stations), after, limit
    )
    return [_wave(record) for record in found]


async def station_of_wave(pool: Pool, wave: str) -> str | None:
    """Return the id of a wave's station."""
    found: str | None = await pool.fetchval("select station from wave where id = $1", wave)
    return found


async def station_of_job(pool: Pool, job: UUID) -> str | None:
    """Return the id of the station of a job's wave; None for a job without a wave."""
    query = "select station from wave where id = (select wave from job where id = $1)"
    found: str | None = await pool.fetchval(query, job)
    return found


async def plans(conn: Reader, wave: str, limit: int) -> list[tuple[int, Plan]]:
    """Return the latest plans of a wave with their versions, the newest first."""
    found = await conn.fetch(
        "select version, body from plan where wave = $1 order by version desc limit $2", wave, limit
    )
    return [(row["version"], rows.plan_of(row["body"])) for row in found]


async def stops(conn: Reader, jobs: Sequence[UUID]) -> dict[UUID, Row]:
    """Return the jobs of a plan's stops by id; the position is null once the recipient is erased."""
    found = await conn.fetch(
        'select job.id as job, "order", state, load_g, cold_ml, lat, lon '
        'from job left join recipient using ("order") where job.id = any($1::uuid[])',
        list(jobs),
    )
    return {row["job"]: dict(row) for row in found}


async def station(conn: Reader, wave: str) -> tuple[float, float] | None:
    """Return latitude and longitude of a wave's station; None while the station is not in the catalogue."""
    row = await conn.fetchrow(
        "select (body->>'lat')::float as lat, (body->>'lon')::float as lon "
        "from catalog join wave on key = 'station/' || station where wave.id = $1",
        wave,
    )
    return (row["lat"], row["lon"]) if row else None


async def jobs(
    pool: Pool,
    order: UUID | None,
    wave: str | None,
    courier: str | None,
    state: str | None,
    stations: Collection[str] | None,
    after: UUID | None,
    limit: int,
) -> list[Row]:
    """Return the jobs after the id `after`, in order of id; of waves of these stations, or all."""
    found = await pool.fetch(_JOBS, order, wave, courier, state, after, _list(stations), limit)
    return [_row(record, "lines") | {"job": record["id"]} for record in found]


async def job(conn: Reader, id: UUID) -> Row | None:
    """Return a job with its delivery attempts and the evidence about it; None if it does not exist."""
    record = await conn.fetchrow("select * from job where id = $1", id)
    if record is None:
        return None
    tries = await conn.fetch(
        "select n, courier, epoch, outcome, reason, recorded_at, clock_invalid, received_at from job_attempt "
        "where job = $1 order by n",
        id,
    )
    evidence = await conn.fetch(
        "select courier, device, session, seq, kind, epoch, code_right, verdict, why, note, recorded_at, "
        "clock_invalid, received_at from evidence where job = $1 order by received_at, device, session, seq",
        id,
    )
    parts = {"job": id, "tries": list(map(dict, tries)), "evidence": list(map(dict, evidence))}
    return _row(record, "lines") | parts


async def promise_basis(pool: Pool, market_day: str | None, at: datetime) -> tuple[Catalog, list[Wave], Counter[str]]:
    """Return the catalogue of sites and market days, their waves, and the number of jobs of each wave.

    Without a market day: all waves with a slot that ends later than a day before `at`; those past their cutoff give
    the reason why there is no slot.
    """
    found = await pool.fetch(
        "select wave.*, (select count(*) from job where job.wave = wave.id) as jobs from wave "
        "where market_day = $2 or ($2::text is null and slot_until > $1)",
        at - timedelta(days=1),
        market_day,
    )
    days = sorted({row["market_day"] for row in found} | ({market_day} if market_day else set()))
    entries = await pool.fetch(
        "select type, body from catalog where type = $1 or key = any($2::text[])",
        SitePut.TYPE,
        [f"market-day/{day}" for day in days],
    )
    counts = Counter({row["id"]: row["jobs"] for row in found})
    return rows.catalog_of(entries), [rows.wave_of(row) for row in found], counts


def market_days(catalog: Catalog) -> list[MarketDayPut]:
    """Return the market days among the entries, by date."""
    return sorted((e for e in catalog.entries.values() if isinstance(e, MarketDayPut)), key=lambda day: day.date)
