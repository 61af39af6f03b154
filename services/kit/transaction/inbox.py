"""The inbox: the events that a consumer has processed, written in the transaction of the effect."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from services.kit.database import Connection, Reader

# A record can come back for as long as topics and archive keep it (60 days), plus a margin.
KEEP_DAYS = 75


class InboxTable:
    """The ids of processed events."""

    def __init__(self, conn: Reader) -> None:
        self.conn = conn

    async def claim(self, consumer: str, ids: Iterable[UUID]) -> set[UUID]:
        """Mark the ids as processed and return those that were new.

        Waits for a transaction that is claiming one of them. In sorted order, so that two owners of a partition in a
        rebalance can't deadlock.
        """
        rows = await self.conn.fetch(
            "insert into inbox (consumer, event_id) select $1, id from unnest($2::uuid[]) as id "
            "on conflict do nothing returning event_id",
            consumer,
            sorted(set(ids)),
        )
        return {row["event_id"] for row in rows}


async def prune(conn: Connection, limit: int = 5_000) -> int:
    """Delete up to `limit` events older than 75 days; return how many."""
    done: str = await conn.execute(
        "delete from inbox where ctid = any(array(select ctid from inbox "
        "where handled_at < now() - make_interval(days => $1) limit $2))",
        KEEP_DAYS,
        limit,
    )
    return int(done.split()[-1])
