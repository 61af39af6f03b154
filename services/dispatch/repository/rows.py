"""Conversion between rows and domain values; column names are the dataclasses' field names."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson
from pydantic import TypeAdapter, ValidationError

from contracts.events.catalog import CatalogEvent
from contracts.events.dispatch import Quote
from contracts.events.orders import GoodsLine
from contracts.registry import UnknownType, decode
from services.dispatch.domain.catalog import Catalog
from services.dispatch.domain.job.job import Job, JobState, Slot
from services.dispatch.domain.recipient import Recipient
from services.dispatch.domain.wave import Wave, WaveState
from services.dispatch.planning.plan import Plan

SLOT_COLUMNS = tuple(field.name for field in dataclasses.fields(Slot))
JOB_COLUMNS = tuple(field.name for field in dataclasses.fields(Job) if field.name != "slot")
WAVE_COLUMNS = tuple(field.name for field in dataclasses.fields(Wave))
RECIPIENT_COLUMNS = tuple(field.name for field in dataclasses.fields(Recipient))
_PLAN = TypeAdapter(Plan)


@dataclass(frozen=True, slots=True)
class CatalogRow:
    """A row of `catalog`."""

    key: str
    type: str
    body: dict[str, Any]


def catalog_of(found: Iterable[asyncpg.Record]) -> Catalog:
    """Return the entries in rows of `catalog`.

    A row that its contract cannot read counts as not arrived: jobs wait for its correction.
    """
    entries = [entry for row in found if (entry := _entry_of(row))]
    return Catalog({entry.key: entry for entry in entries})


def catalog_row(entry: CatalogEvent) -> CatalogRow:
    """Return the row of a catalogue entry."""
    return CatalogRow(entry.key, entry.TYPE, entry.model_dump(mode="json"))


def _entry_of(row: asyncpg.Record) -> CatalogEvent | None:
    try:
        entry = decode(row["type"], row["body"].encode())
    except (UnknownType, ValidationError):
        return None
    return entry if isinstance(entry, CatalogEvent) else None


def job_of(row: asyncpg.Record) -> Job:
    """Return the job in a row with all columns of `job`."""
    fields = {name: row[name] for name in JOB_COLUMNS} | {
        "state": JobState(row["state"]),
        "lines": tuple(GoodsLine.model_validate(line) for line in orjson.loads(row["lines"])),
        "quote": Quote.model_validate_json(row["quote"]) if row["quote"] else None,
        "waits": tuple(row["waits"]),
    }
    slot = Slot(*(row[name] for name in SLOT_COLUMNS)) if row["wave"] else None
    return Job(**fields, slot=slot)


def job_row(job: Job) -> dict[str, Any]:
    """Return the columns of a job as JSON can carry them."""
    slot = {name: getattr(job.slot, name, None) for name in SLOT_COLUMNS}
    lines = [line.model_dump() for line in job.lines]
    quote = job.quote.model_dump(mode="json") if job.quote else None
    return {name: getattr(job, name) for name in JOB_COLUMNS} | slot | {"lines": lines, "quote": quote}


def wave_of(row: asyncpg.Record) -> Wave:
    """Return the wave in a whole row of `wave`."""
    return Wave(**{name: row[name] for name in WAVE_COLUMNS} | {"state": WaveState(row["state"])})


def plan_of(body: str) -> Plan:
    """Return the plan in the column `body` of `plan`."""
    return _PLAN.validate_json(body)


def recipient_of(row: asyncpg.Record) -> Recipient:
    """Return the recipient in a row with all columns of `recipient`."""
    return Recipient(**{name: row[name] for name in RECIPIENT_COLUMNS})


def to_json(values: Sequence[Any]) -> str:
    """Return rows (dicts or dataclasses) as the one parameter of a statement in `statements`."""
    return orjson.dumps(values, default=str).decode()  # `default`: asyncpg has a UUID class of its own
