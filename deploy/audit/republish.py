"""Republishes archived records that the log has lost, with its tail or with its disk."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import asyncpg

from contracts.topics import BY_NAME, DEPLOYED
from deploy.audit.evidence.evidence import Evidence
from deploy.audit.evidence.log import Place, read_log
from deploy.audit.evidence.tables import read_databases
from services.kit.transaction.outbox import republish as send_again


def republish(endpoints: Mapping[str, Any]) -> list[str]:
    """Put the archived rows of each partition, from the first that the log lacks, back at the head of the outbox.

    The relays then publish them in order; readers drop known event ids. Return a line of text per partition. The
    private topic cannot be compared, because no observer may read it: it is published again as a whole if its service
    lost anything else. A record of a compacted topic counts as lost if its offset is beyond the end, or if it was sent
    before the topic was created again.
    """
    return asyncio.run(_republish(endpoints))


async def _republish(endpoints: Mapping[str, Any]) -> list[str]:
    tables = await read_databases(endpoints["postgres"])
    evidence = Evidence(await asyncio.to_thread(read_log, endpoints["kafka"]), tables)
    lines = []
    for service in DEPLOYED:
        conn = await asyncpg.connect(endpoints["postgres"][service], timeout=10)
        try:
            for (topic, partition), offset in sorted(lost(evidence, service).items()):
                async with conn.transaction():
                    count = await send_again(conn, topic, partition, offset)
                lines.append(f"{topic}/{partition}: {count} records from offset {offset} on are republished")
        finally:
            await conn.close()
    return lines


def lost(evidence: Evidence, service: str) -> dict[Place, int]:
    """Return for each partition the first offset at which a service's archive has a record that the log lacks."""
    there = {(record.topic, record.id) for record in evidence.log.records}
    first: dict[Place, int] = {}
    after: dict[Place, int] = {}  # the smallest offset of the rows that were sent later
    whole: dict[Place, int] = {}
    for row in reversed(evidence.rows(service, "outbox_sent")):
        topic, place, position = BY_NAME[row["topic"]], (row["topic"], row["partition"]), row["position"]
        recreated = after.get(place, position + 1) <= position  # the topic was created again after this was sent
        after[place] = min(position, after.get(place, position))
        if topic.private:
            whole[place] = min(position, whole.get(place, position))
            continue
        begin, end = evidence.log.spans[place]
        known = position < end and not recreated if topic.compacted else (row["topic"], row["event_id"]) in there
        if not known and position >= begin:
            first[place] = min(position, first.get(place, position))
    return first | whole if first else first
