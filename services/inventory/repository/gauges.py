"""Gauges that inventory reads from its tables."""

from __future__ import annotations

from prometheus_client import Gauge

from services.kit.database import Reader

OVERDRAWN = Gauge("halfday_overdrawn", "Units that terminals sold beyond what they were lent, in open allotments")


async def overdrawn(pool: Reader) -> None:
    """Sets `OVERDRAWN`."""
    OVERDRAWN.set(await pool.fetchval("select coalesce(sum(overdrawn), 0)::float from allotment where not closed"))
