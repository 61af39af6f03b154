"""Spans by OpenTelemetry's SDK; imported only where tracing is on.

Names and attributes follow OpenTelemetry's conventions for messaging. No attribute and no event quotes the content of a
record or the text of an error: either may name a person.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable
from types import TracebackType
from uuid import UUID

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services.kit.telemetry import tracing

STOP_S = 2.0
LINKS = 500
"""As many as a batch has records."""
_propagator = TraceContextTextMapPropagator()


def read(parent: str | None) -> Context:
    """Return the context of a W3C trace parent; an empty one, which begins a trace, where it is absent or invalid."""
    return _propagator.extract({"traceparent": parent} if parent else {}, Context())


def written(span: Span) -> str:
    """Return the W3C trace parent of what a span causes."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, set_span_in_context(span, Context()))
    return carrier["traceparent"]


class Spans(tracing.Tracing):
    """Spans of one process, sent in the background. A collector that is away costs the spans, nothing else."""

    def __init__(self, service: str, instance: str) -> None:
        about = Resource.create(
            {"service.name": service, "service.namespace": "halfday", "service.instance.id": instance}
        )
        limits = SpanLimits(max_links=LINKS)
        # Its own hook at exit would wait half a minute for a collector that is away.
        self._provider = TracerProvider(resource=about, span_limits=limits, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("halfday")

    def request(self, method: str, parent: str | None) -> tracing.Request:
        """Return a server span."""
        return _Request(self._tracer.start_span(method, read(parent), SpanKind.SERVER), method)

    def batch(self, consumer: str) -> tracing.Batch:
        """Return a span of its own trace for the transaction, linked with one in each message's trace."""
        return _Batch(self._tracer, consumer)

    def published(self, rows: Iterable[tracing.Published], read_at: float) -> None:
        """Make a span for each row, beside those of its readers, as long as the row was in the outbox."""
        now, since = time.time_ns(), time.monotonic() - read_at
        for topic, event_id, traceparent, waited_s in rows:
            if traceparent:
                self._tracer.start_span(
                    f"publish {topic}",
                    read(traceparent),
                    SpanKind.PRODUCER,
                    _about("publish", topic, event_id),
                    start_time=now - int((since + waited_s) * 1e9),
                ).end()

    async def stop(self) -> None:
        """Give the last spans two seconds; the thread that sends them dies with the process."""
        sending = threading.Thread(target=self._provider.shutdown, daemon=True)
        sending.start()
        await asyncio.to_thread(sending.join, STOP_S)


class _Request(tracing.Request):
    def __init__(self, span: Span, method: str) -> None:
        super().__init__(written(span))
        self._span, self._method = span, method

    def end(self, route: str, status: int) -> None:
        self._span.update_name(f"{self._method} {route}")
        self._span.set_attributes(
            {"http.request.method": self._method, "http.route": route, "http.response.status_code": status}
        )
        if status >= 500 or not status:
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


class _Batch(tracing.Batch):
    def __init__(self, tracer: Tracer, consumer: str) -> None:
        self._tracer, self._consumer, self._began = tracer, consumer, time.time_ns()
        self._span = tracer.start_span(
            f"transaction {consumer}", Context(), SpanKind.CONSUMER, {"messaging.consumer.group.name": consumer}
        )
        self._messages: dict[UUID, Span] = {}

    def parent_of(self, id: UUID, type: str, place: tracing.Place, traceparent: str | None) -> str | None:
        span = self._messages.get(id)
        if span is None:
            span = self._messages[id] = self._begin(id, type, place, traceparent)
        return written(span)

    def _begin(self, id: UUID, type: str, place: tracing.Place, traceparent: str | None) -> Span:
        topic, partition, offset = place
        where: dict[str, str | int] = {
            "messaging.destination.partition.id": str(partition),
            "messaging.kafka.offset": offset,
        }
        span = self._tracer.start_span(
            f"process {type.removeprefix('market.')}",
            read(traceparent),
            SpanKind.CONSUMER,
            {**_about("process", topic, id), **where, "messaging.consumer.group.name": self._consumer},
            [Link(self._span.get_span_context())],
            self._began,
        )
        self._span.add_link(span.get_span_context())
        return span

    def __exit__(self, kind: type[BaseException] | None, _error: object, _where: TracebackType | None) -> None:
        self._span.set_attribute("messaging.batch.message_count", len(self._messages))
        for span in (*self._messages.values(), self._span):
            if kind is not None:
                span.set_status(Status(StatusCode.ERROR, kind.__name__))
            span.end()


def _about(operation: str, topic: str, id: UUID) -> dict[str, str]:
    return {
        "messaging.system": "kafka",
        "messaging.operation.type": operation,
        "messaging.destination.name": topic,
        "messaging.message.id": str(id),
    }
