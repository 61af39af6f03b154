"""A log that lost its tail, or its disk, gets back what the archives know was sent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import asyncpg

from contracts.topics import BY_NAME, SERVICES
from deploy.audit.evidence.evidence import Evidence
from deploy.audit.evidence.log import Place, read_log
from deploy.audit.evidence.tables import read_databases
from services.kit.transaction.outbox import republish as send_again


def republish(endpoints: Mapping[str, Any]) -> list[str]:
    """Puts the archived rows of each partition, from the first that the log lacks, back at the head of the outbox.

    The relays then send them in order; readers drop what they know by event id. One line for each partition. The
    private topic can't be compared, since no observer may read it: it is sent again whole where its service lost
    anything else. Of a compacted topic counts as lost what lies beyond its end, or was sent before it began anew.
    """
    return asyncio.run(_republish(endpoints))


async def _republish(endpoints: Mapping[str, Any]) -> list[str]:
    books = await read_databases(endpoints["postgres"])
    evidence = Evidence(await asyncio.to_thread(read_log, endpoints["kafka"]), books)
    lines = []
    for service in SERVICES:
        conn = await asyncpg.connect(endpoints["postgres"][service], timeout=10)
        try:
            for (topic, partition), offset in sorted(lost(evidence, service).items()):
                async with conn.transaction():
                    count = await send_again(conn, topic, partition, offset)
                lines.append(f"{topic}/{partition}: {count} records from offset {offset} on are sent again")
        finally:
            await conn.close()
    return lines


def lost(evidence: Evidence, service: str) -> dict[Place, int]:
    """By partition: the first offset at which a service's archive has a record that the log lacks."""
    there = {(record.topic, record.id) for record in evidence.log.records}
    first: dict[Place, int] = {}
    after: dict[Place, int] = {}  # where the earliest of the rows that were sent later stands
    whole: dict[Place, int] = {}
    for row in reversed(evidence.rows(service, "outbox_sent")):
        topic, place, position = BY_NAME[row["topic"]], (row["topic"], row["partition"]), row["position"]
        anew = after.get(place, position + 1) <= position  # the log was begun anew after this was sent
        after[place] = min(position, after.get(place, position))
        if topic.private:
            whole[place] = min(position, whole.get(place, position))
            continue
        begin, end = evidence.log.spans[place]
        known = position < end and not anew if topic.compacted else (row["topic"], row["event_id"]) in there
        if not known and position >= begin:
            first[place] = min(position, first.get(place, position))
    return first | whole if first else first
