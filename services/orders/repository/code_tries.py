"""Wrong codes at a pickup. Call these under the lock of the order's row."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from services.orders.repository.order_rows import Connection

_ADD = """
insert into code_try ("order", n, since) values ($1, 1, $2) on conflict ("order") do update set
  n = case when code_try.since > $2 - interval '1 hour' then code_try.n + 1 else 1 end,
  since = case when code_try.since > $2 - interval '1 hour' then code_try.since else $2 end
returning n
"""


async def count(conn: Connection, order: UUID, now: datetime) -> int:
    """How many wrong codes came within an hour of the first; `now` is real time."""
    statement = "select n from code_try where \"order\" = $1 and since > $2::timestamptz - interval '1 hour'"
    found = await conn.fetchval(statement, order, now)
    return found or 0


async def add(conn: Connection, order: UUID, now: datetime) -> int:
    """Counts one more; how many there are now."""
    found: int = await conn.fetchval(_ADD, order, now)
    return found
