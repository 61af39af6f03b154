"""A log that lost its tail, or its disk, gets back what the archives know was sent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import asyncpg

from contracts.topics import BY_NAME, SERVICES
from deploy.audit.books import read_books
from deploy.audit.evidence import Evidence
from deploy.audit.log import Place, read_log
from services.kit.outbox import republish as send_again


def republish(endpoints: Mapping[str, Any]) -> list[str]:
    """Puts the archived rows of each partition, from the first that the log lacks, back at the head of the outbox.

    The relays then send them in order; readers drop what they know by event id. One line for each partition. The
    private topic can't be compared: no observer may read it. Of a compacted topic only what lies beyond its end
    counts as lost.
    """
    return asyncio.run(_republish(endpoints))


async def _republish(endpoints: Mapping[str, Any]) -> list[str]:
    books = await read_books(endpoints["postgres"])
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
    for row in evidence.rows(service, "outbox_sent"):
        topic, place = BY_NAME[row["topic"]], (row["topic"], row["partition"])
        if topic.private:
            continue
        begin, end = evidence.log.spans[place]
        known = row["position"] < end if topic.compacted else (row["topic"], row["event_id"]) in there
        if not known and row["position"] >= begin:
            first[place] = min(row["position"], first.get(place, row["position"]))
    return first
