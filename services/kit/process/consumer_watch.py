"""Watches the consumers of a worker: their lag for `/metrics`, and the end of the process when one stalls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog

from services.kit.consumer.subscription import Processor
from services.kit.errors import NotReady, Stalled
from services.kit.http.health import CheckResult
from services.kit.telemetry.metrics import GAUGES_FAILED, LAG

EVERY_S, KAFKA_S = 5.0, 3.0
STALLED_S = 20.0
"""A consumer recovers from the restart of a broker within seconds; a process that starts again takes about five."""
_log = structlog.get_logger("halfday.consumers")


class ConsumerWatch:
    """Finds consumers that receive nothing while records wait for them and the broker answers other connections.

    The client library can stop receiving without an error: one of its tasks ended, or waits for ever. A consumer with a
    batch in work, however often that is retried, has not stalled. `consumers` are processors, each with its
    FastStream subscriber; `kafka_answers` asks the broker over a connection of its own and raises `NotReady`.
    """

    def __init__(
        self, consumers: Sequence[tuple[Processor, Any]], kafka_answers: Callable[[], Awaitable[None]]
    ) -> None:
        self._consumers = consumers
        self._kafka_answers = kafka_answers
        self._seen: dict[str, int] = {}
        self._stalled_since: dict[str, float] = {}

    async def run(self) -> None:
        """Measure every 5 s until cancelled. Raises `Stalled` when a consumer has been stalled for 20 s."""
        while True:
            await self.measure()
            if any(seconds >= STALLED_S for seconds in self._stalled().values()):
                raise Stalled(self._describe())
            await asyncio.sleep(EVERY_S)

    async def check(self) -> CheckResult:
        """Return the check for `/ready`: not ok while a consumer has been stalled for longer than one interval."""
        return CheckResult(all(seconds < EVERY_S for seconds in self._stalled().values()), self._describe())

    async def measure(self) -> None:
        """Set the lag of each consumer, and note those that are stalled."""
        lags = await asyncio.gather(*(self._lag(*one) for one in self._consumers))
        for (processor, _), lag in zip(self._consumers, lags, strict=True):
            name, begun = processor.consumer, processor.begun
            worked = begun != self._seen.get(name) or begun != processor.ended
            self._seen[name] = begun
            if lag == 0 or worked:
                self._stalled_since.pop(name, None)
            else:
                self._stalled_since.setdefault(name, time.monotonic())
        if self._stalled_since:
            try:
                await self._kafka_answers()
            except NotReady:  # then there is nothing to receive
                self._stalled_since.clear()

    def _stalled(self) -> dict[str, float]:
        return {name: time.monotonic() - since for name, since in self._stalled_since.items()}

    def _describe(self) -> str:
        stalled = [f"{name} for {seconds:.0f} s" for name, seconds in self._stalled().items()]
        return f"receive nothing while Kafka answers: {', '.join(stalled)}" if stalled else "receive"

    async def _lag(self, processor: Processor, subscriber: Any) -> int | None:
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
