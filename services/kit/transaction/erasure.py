"""Erasure of a person: the copies that messaging keeps of records of a private topic."""

from __future__ import annotations

from collections.abc import Collection

from services.kit.database import Connection


async def forget(conn: Connection, topic: str, keys: Collection[str]) -> None:
    """Blank the payloads of outbox rows, archived rows and dead letters with these keys; the rows stay.

    A blanked record is a tombstone: sent again from the archive, or redriven, it erases. Events without a person are
    not changed. Scans the topic's whole archive, so it takes seconds where that has millions of rows.
    """
    found = list(keys)
    # The outbox first: the relay moves its rows to the archive, never back while they are being sent.
    await conn.execute("update outbox set payload = null where topic = $1 and key = any($2::text[])", topic, found)
    await conn.execute("update outbox_sent set payload = null where topic = $1 and key = any($2::text[])", topic, found)
    await conn.execute(
        "update parked set payload = null where topic = $1 and key = any($2::bytea[])",
        topic,
        [key.encode() for key in found],
    )
