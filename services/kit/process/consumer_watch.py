"""Watches the consumers of a worker: their lag for `/metrics`, and the end of the process when one stalls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog

from services.kit.consumer.processor import BatchProcessor
from services.kit.errors import NotReady, Stalled
from services.kit.http.health import CheckResult
from services.kit.telemetry.metrics import GAUGES_FAILED, LAG

EVERY_S, KAFKA_S = 5.0, 3.0
LIMIT = 5
"""Measurements in a row, over 20 s, after which a consumer is given up: it recovers from a broker's restart within
seconds, and a process starts again in about five. Counted, so that a suspended process gets its time after that.
"""
_log = structlog.get_logger("halfday.consumers")


class ConsumerWatch:
    """Finds consumers that receive nothing while records wait for them and the broker answers other connections.

    The client library can stop receiving without an error: one of its tasks ended, or waits for ever. A consumer with a
    batch in work, however often that is retried, has not stalled. `consumers` are processors, each with its
    FastStream subscriber; `kafka_answers` asks the broker over a connection of its own and raises `NotReady`.
    """

    def __init__(
        self, consumers: Sequence[tuple[BatchProcessor[Any], Any]], kafka_answers: Callable[[], Awaitable[None]]
    ) -> None:
        self._consumers = consumers
        self._kafka_answers = kafka_answers
        self._seen: dict[str, int] = {}
        self._stalled: dict[str, int] = {}

    async def run(self) -> None:
        """Measure every 5 s until cancelled. Raises `Stalled` when a consumer has been stalled for 20 s."""
        while True:
            await self.measure()
            if any(count >= LIMIT for count in self._stalled.values()):
                raise Stalled(self._describe())
            await asyncio.sleep(EVERY_S)

    async def check(self) -> CheckResult:
        """Return the check for `/ready`: not ok while a consumer has been stalled for longer than one interval."""
        return CheckResult(all(count == 1 for count in self._stalled.values()), self._describe())

    async def measure(self) -> None:
        """Set the lag of each consumer, and note those that are stalled."""
        lags = await asyncio.gather(*(self._lag(*one) for one in self._consumers))
        for (processor, _), lag in zip(self._consumers, lags, strict=True):
            name, begun = processor.consumer, processor.begun
            worked = begun != self._seen.get(name) or begun != processor.ended
            self._seen[name] = begun
            if lag == 0 or worked:
                self._stalled.pop(name, None)
            else:
                self._stalled[name] = self._stalled.get(name, 0) + 1
        if self._stalled:
            try:
                await self._kafka_answers()
            except NotReady:  # then there is nothing to receive
                self._stalled.clear()

    def _describe(self) -> str:
        stalled = [f"{name} for {(count - 1) * EVERY_S:.0f} s" for name, count in self._stalled.items()]
        return f"receive nothing while Kafka answers: {', '.join(stalled)}" if stalled else "receive"

    async def _lag(self, processor: BatchProcessor[Any], subscriber: Any) -> int | None:
        """Return the number of records that were not received yet, over the partitions that this process has, and set
        the gauge; None, and the gauge stays, if that can't be measured.
        """
        try:
            async with asyncio.timeout(KAFKA_S):
                reader = subscriber.consumer
                ends = await reader.end_offsets(reader.assignment())
                lag: int = sum([max(0, end - await reader.position(place)) for place, end in ends.items()])
        except Exception as error:  # any error: the client may be in any state
            GAUGES_FAILED.inc()
            _log.warning("lag not measured", consumer=processor.consumer, error=type(error).__name__)
            return None
        LAG.labels(processor.consumer).set(lag)
        return lag
