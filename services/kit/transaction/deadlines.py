"""The table of durable deadlines: set and removed in the business transaction, claimed by the sweeper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.kit.database import Reader


@dataclass(frozen=True, slots=True)
class Deadline:
    """A deadline as `UnitOfWork.set_deadline` sets it; the table gives the `token`, a new one at every setting."""

    kind: str
    subject: str
    due_at: datetime
    version: int
    real: bool
    token: int = 0


class DeadlineTable:
    """The deadlines that are set."""

    def __init__(self, conn: Reader) -> None:
        self.conn = conn

    async def save(self, changes: Mapping[tuple[str, str], Deadline | None]) -> None:
        """Set and remove deadlines by (kind, subject), in sorted order, one statement for each of the two."""
        removed = sorted(key for key, deadline in changes.items() if deadline is None)
        if removed:
            await self.conn.execute(
                "delete from deadline using unnest($1::text[], $2::text[]) as r(kind, subject) "
                "where deadline.kind = r.kind and deadline.subject = r.subject",
                *map(list, zip(*removed, strict=True)),
            )
        found = sorted((d for d in changes.values() if d is not None), key=lambda d: (d.kind, d.subject))
        if found:
            await self.conn.execute(
                "insert into deadline (kind, subject, due_at, version, real) "
                "select * from unnest($1::text[], $2::text[], $3::timestamptz[], $4::bigint[], $5::boolean[]) "
                "on conflict (kind, subject) do update set due_at = excluded.due_at, version = excluded.version, "
                "real = excluded.real, n = default",
                [d.kind for d in found],
                [d.subject for d in found],
                [d.due_at for d in found],
                [d.version for d in found],
                [d.real for d in found],
            )

    async def overdue(self, business: datetime, real: datetime, limit: int) -> list[Deadline]:
        """Return the oldest deadlines that are due on their own clock, unlocked: only `claim` decides."""
        rows = await self.conn.fetch(
            "(select kind, subject, due_at, version, real, n as token from deadline where not real and due_at <= $1 "
            "order by due_at limit $3) union all "
            "(select kind, subject, due_at, version, real, n as token from deadline where real and due_at <= $2 "
            "order by due_at limit $3)",
            business,
            real,
            limit,
        )
        return [Deadline(**dict(row)) for row in rows]

    async def claim(self, tokens: Sequence[int]) -> set[int]:
        """Remove the deadlines with these tokens and return the tokens of those that were still set; another sweeper
        gets none of them.

        Call it after the head rows are locked: commands remove deadlines under those locks.
        """
        rows = await self.conn.fetch("delete from deadline where n = any($1::bigint[]) returning n", list(tokens))
        return {row["n"] for row in rows}


async def lateness(conn: Reader, business: datetime, real: datetime) -> float:
    """Return for how many seconds of its own clock the longest overdue deadline has waited; 0 when none is due."""
    late: float = await conn.fetchval(
        "select coalesce(greatest(0, extract(epoch from $1 - (select min(due_at) from deadline where not real)), "
        "extract(epoch from $2 - (select min(due_at) from deadline where real))), 0)::float",
        business,
        real,
    )
    return late
