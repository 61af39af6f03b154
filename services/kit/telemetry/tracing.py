"""Traces: one order's way through HTTP, outbox, Kafka and three services. The parent of what an event causes travels
in the event's `traceparent`, from the outbox row on, so a trace survives a crash between commit and publication.

On when OTEL_EXPORTER_OTLP_ENDPOINT is set; the other OTEL_ variables of the SDK count too. Off, nothing of
OpenTelemetry's SDK is imported and events carry on whatever parent came in. FastStream's own middleware isn't used: it
would put a new parent over the stored one, and leaves its span attached after an error.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from services.kit.transaction.message import Message
from services.kit.transaction.outbox import Row

SWITCHES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Batch:
    """The spans of one transaction of a consumer, ended with it; this one makes none."""

    def parent_of(self, message: Message[Any]) -> str | None:
        """The W3C trace parent for what the handling of `message` causes."""
        return message.envelope.traceparent

    def __enter__(self) -> Self:
        """Begins; the batch is ended as failed by an exception, of which only the type is told."""
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _where: TracebackType | None) -> None:
        """Ends every span."""


class Request:
    """The span of one HTTP request; `parent` is the trace parent for the events of its command."""

    def __init__(self, parent: str | None) -> None:
        self.parent = parent

    def end(self, route: str, status: int) -> None:
        """Ends it with what is known only then."""


class Tracing:
    """Makes spans; this one makes none and costs next to nothing."""

    def request(self, _method: str, parent: str | None) -> Request:
        """A request that came in with this trace parent."""
        return Request(parent)

    def batch(self, _consumer: str) -> Batch:
        """One transaction of a consumer."""
        return NO_BATCH

    def published(self, rows: Sequence[Row], read_at: float) -> None:
        """Kafka acknowledged the rows, which were read from the outbox at `read_at` (monotonic clock)."""

    async def stop(self) -> None:
        """Sends what is left, for at most two seconds."""


NO_BATCH = Batch()
_tracing = Tracing()


def get() -> Tracing:
    """What makes this process's spans."""
    return _tracing


def start(service: str, instance: str) -> Tracing:
    """Switches tracing on if the environment says so; the same as `get` from then on."""
    global _tracing
    if any(os.environ.get(name) for name in SWITCHES) and os.environ.get("OTEL_SDK_DISABLED", "").lower() != "true":
        from services.kit.telemetry.spans import Spans  # the SDK is a heavy import

        _tracing = Spans(service, instance)
    return _tracing
