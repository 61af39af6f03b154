"""The golden signals that no message passes by: measured every few seconds in the worker, for `/metrics`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from services.kit import deadlines_table, outbox, parking, sequenced
from services.kit.metrics import LAG, MISSING, OUTBOX_AGE, OVERDUE, PARKED_AGE, PARKED_NOW, SIGNALS_FAILED
from services.kit.service import Context

EVERY_S = 5.0
KAFKA_S = 3.0
_log = structlog.get_logger("halfday.signals")


async def watch(context: Context, subscribers: Mapping[str, Any]) -> None:
    """Measures until cancelled; `subscribers` are FastStream's, by consumer. While the database or Kafka is away the
    last values stand and `SIGNALS_FAILED` grows; nothing that goes wrong here stops the work.
    """
    while True:
        try:
            await measure(context)
            for consumer, subscriber in subscribers.items():
                if subscriber.consumer is not None:
                    LAG.labels(consumer).set(await _lag(subscriber.consumer))
        except Exception as error:  # whatever it is, work goes on unmeasured
            SIGNALS_FAILED.inc()
            _log.warning("signals wait", error=type(error).__name__)
        await asyncio.sleep(EVERY_S)


async def measure(context: Context) -> None:
    """Reads once what the service's database says, a few short statements, into the gauges."""
    pool, clock = context.pool, context.clock
    OUTBOX_AGE.set(await outbox.oldest(pool))
    parked, age = await parking.waiting(pool)
    PARKED_NOW.set(parked)
    PARKED_AGE.set(age)
    OVERDUE.set(await deadlines_table.lateness(pool, clock.now(), clock.real()))
    MISSING.clear()
    for owner, missing in (await sequenced.missing(pool)).items():
        MISSING.labels(owner).set(missing)
    for signal in context.service.signals:
        await signal(pool)


async def _lag(consumer: Any) -> int:
    """How far the end of the log is ahead of what was taken, over the partitions that this process has."""
    async with asyncio.timeout(KAFKA_S):
        ends = await consumer.end_offsets(consumer.assignment())
        return sum([max(0, end - await consumer.position(partition)) for partition, end in ends.items()])
