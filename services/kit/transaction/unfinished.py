"""The unfinished work in a service's database: events to publish, business deadlines to fire."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.kit.database import Connection


@dataclass(frozen=True, slots=True)
class Unfinished:
    """`events` wait in the outbox, the oldest for `age_s` real seconds; `due_at` is the next business deadline."""

    events: int
    age_s: float
    due_at: datetime | None


async def unfinished(conn: Connection, timeout_s: float) -> Unfinished:
    """Read it in one statement. Raises the driver's errors, and TimeoutError after `timeout_s`."""
    row = await conn.fetchrow(
        "select count(*) as events, coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::float "
        "as age_s, (select min(due_at) from deadline where not real) as due_at from outbox where not held",
        timeout=timeout_s,
    )
    assert row is not None
    return Unfinished(**dict(row))
