"""Between rows and values."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import asyncpg
import orjson
from pydantic import TypeAdapter, ValidationError

from contracts.events.catalog import CatalogEvent
from contracts.events.dispatch import Quote
from contracts.events.orders import GoodsLine
from contracts.registry import UnknownType, decode
from services.dispatch.domain.catalog import Catalog
from services.dispatch.domain.delivery import Recipient
from services.dispatch.domain.job import Job, JobState, Slot
from services.dispatch.domain.wave import Wave
from services.dispatch.domain.wave import WaveState as WaveState
from services.dispatch.planning.plan import Plan

_SLOT = ("wave", "slot_from", "slot_until", "as_promised")
_JOB = tuple(f.name for f in dataclasses.fields(Job) if f.name != "slot")
_WAVE = tuple(f.name for f in dataclasses.fields(Wave))
_PLAN = TypeAdapter(Plan)


def catalog_of(rows: Iterable[asyncpg.Record]) -> Catalog:
    """The entries in rows of `catalog`. One that its contract can't read is as if it had not arrived: jobs wait for it,
    and its correction."""
    found = [entry for row in rows if (entry := _entry_of(row))]
    return Catalog({entry.key: entry for entry in found})


def _entry_of(row: asyncpg.Record) -> CatalogEvent | None:
    try:
        entry = decode(row["type"], row["body"].encode())
    except (UnknownType, ValidationError):
        return None
    return entry if isinstance(entry, CatalogEvent) else None


def job_of(row: asyncpg.Record) -> Job:
    """The job in a whole row of `job`."""
    plain = {name: row[name] for name in _JOB}
    plain["state"] = JobState(row["state"])
    plain["lines"] = tuple(GoodsLine.model_validate(line) for line in orjson.loads(row["lines"]))
    plain["quote"] = Quote.model_validate_json(row["quote"]) if row["quote"] else None
    plain["waits"] = tuple(row["waits"])
    slot = Slot(*(row[name] for name in _SLOT)) if row["wave"] else None
    return Job(**plain, slot=slot)


def row_of(job: Job) -> dict[str, Any]:
    """The columns of a job as JSON can carry them."""
    slot = {name: getattr(job.slot, name, None) for name in _SLOT}
    lines = [line.model_dump() for line in job.lines]
    quote = job.quote.model_dump(mode="json") if job.quote else None
    return {name: getattr(job, name) for name in _JOB} | slot | {"lines": lines, "quote": quote}


def wave_of(row: asyncpg.Record) -> Wave:
    """The wave in a whole row of `wave`."""
    return Wave(**{name: row[name] for name in _WAVE} | {"state": WaveState(row["state"])})


def plan_of(body: str) -> Plan:
    """The plan in a row's `body`."""
    return _PLAN.validate_json(body)


def recipient_of(row: asyncpg.Record) -> Recipient:
    """The recipient in a whole row of `recipient`."""
    return Recipient(**dict(row))


def packed(rows: list[Any]) -> str:
    """Rows (dicts or dataclasses) as the JSON array that `jsonb_populate_recordset` takes: one parameter for all."""
    return orjson.dumps(rows, default=str).decode()  # asyncpg has a UUID class of its own
