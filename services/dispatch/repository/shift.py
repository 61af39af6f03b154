"""Recorded shifts."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

_ADD = """
insert into shift (id, courier, wave, market_day, from_at, until_at) values ($1, $2, $3, $4, $5, $6)
on conflict (id) do nothing
"""


async def record(
    conn: asyncpg.Connection[asyncpg.Record] | Any,
    id: UUID,
    courier: str,
    wave: str | None,
    market_day: str | None,
    from_at: datetime,
    until_at: datetime,
) -> bool:
    """Records the shift; whether it now stands there as told. False: the id is taken by another one."""
    told = (courier, wave, market_day, from_at, until_at)
    await conn.execute(_ADD, id, *told)
    found = await conn.fetchrow("select courier, wave, market_day, from_at, until_at from shift where id = $1", id)
    return found is not None and tuple(found) == told
