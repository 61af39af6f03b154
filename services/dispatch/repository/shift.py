"""Recorded shifts of couriers."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from datetime import datetime
from uuid import UUID

from services.kit.database import Connection

_INSERT = """
insert into shift (id, courier, wave, market_day, from_at, until_at) values ($1, $2, $3, $4, $5, $6)
on conflict (id) do nothing
"""
_SELECT = "select id, courier, wave, market_day, from_at, until_at from shift where id = $1"


@dataclass(frozen=True, slots=True)
class Shift:
    """The time a courier works: for one wave, or for all waves of a market day."""

    id: UUID
    courier: str
    wave: str | None
    market_day: str | None
    from_at: datetime
    until_at: datetime


async def record(conn: Connection, shift: Shift) -> bool:
    """Record the shift. False, and nothing is changed, if the id belongs to a shift with different content."""
    await conn.execute(_INSERT, *astuple(shift))
    row = await conn.fetchrow(_SELECT, shift.id)
    return row is not None and tuple(row) == astuple(shift)
