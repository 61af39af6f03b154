"""Traces: one order's path through HTTP, outbox, Kafka and three services. The parent of what an event causes travels
in the event's `traceparent`, from the outbox row on, so a trace survives a crash between commit and publication.

On when OTEL_EXPORTER_OTLP_ENDPOINT is set; the other OTEL_ variables of the SDK count too. Off, nothing of
OpenTelemetry's SDK is imported and events carry on whatever parent came in. FastStream's own middleware isn't used: it
would put a new parent over the stored one, and leaves its span attached after an error.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from types import TracebackType
from typing import Self, TypeAlias
from uuid import UUID

SWITCHES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


Place: TypeAlias = tuple[str, int, int]
"""A record's topic (without prefix), partition and offset."""
Published: TypeAlias = tuple[str, UUID, str | None, float]
"""A published row's topic, event id and trace parent, and the seconds that it had waited when it was read."""


class Batch:
    """The spans of one transaction of a consumer, ended with it; this one makes none."""

    def parent_of(self, _id: UUID, _type: str, _place: Place, traceparent: str | None) -> str | None:
        """Return the W3C trace parent for what a message causes: the event with this id, type, place and parent."""
        return traceparent

    def __enter__(self) -> Self:
        """Begin; an exception ends the batch as failed, and only its type is recorded."""
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _where: TracebackType | None) -> None:
        """End every span."""


class Request:
    """The span of one HTTP request; `parent` is the trace parent for the events of its command."""

    def __init__(self, parent: str | None) -> None:
        self.parent = parent

    def end(self, route: str, status: int) -> None:
        """End it with the values that are known only then."""


class Tracing:
    """Makes spans; this one makes none and costs next to nothing."""

    def request(self, _method: str, parent: str | None) -> Request:
        """Return the span of a request that came in with this trace parent."""
        return Request(parent)

    def batch(self, _consumer: str) -> Batch:
        """Return the spans of one transaction of a consumer."""
        return NO_BATCH

    def published(self, rows: Iterable[Published], read_at: float) -> None:
        """Record that Kafka acknowledged the rows, which were read from the outbox at `read_at` (monotonic clock)."""

    async def stop(self) -> None:
        """Send the last spans, for at most two seconds."""


NO_BATCH = Batch()
_tracing = Tracing()


def get() -> Tracing:
    """Return the maker of this process's spans."""
    return _tracing


def start(service: str, instance: str) -> Tracing:
    """Switch tracing on if the environment says so, and return what `get` returns from then on."""
    global _tracing
    if any(os.environ.get(name) for name in SWITCHES) and os.environ.get("OTEL_SDK_DISABLED", "").lower() != "true":
        from services.kit.telemetry.spans import Spans  # the SDK is a heavy import

        _tracing = Spans(service, instance)
    return _tracing
