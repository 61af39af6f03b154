"""Tracing off costs nothing; on, a failed transaction is seen, and nothing of a record's content is."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from contracts.envelope import Envelope
from services.kit.telemetry import tracing
from services.kit.transaction.message import Message, Record
from tests.collector import Collector, collector

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE = PARENT.split("-")[1]
SECRET = "Auntie Li, 13900000000"


def a_message(parent: str | None = PARENT) -> Message[str]:
    envelope = Envelope(uuid4(), "market.t.v1", "s", "a", datetime.now(UTC), key="k", traceparent=parent)
    return Message(envelope, SECRET, Record("t.v1", 2, 7, b"k", SECRET.encode(), dict(envelope.headers())))


def parent_of(batch: tracing.Batch, message: Message[str]) -> str | None:
    return batch.parent_of(message.id, message.type, message.record[:3], message.envelope.traceparent)


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[tracing.Tracing, Collector]]:
    with collector() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        monkeypatch.setattr(tracing, "_tracing", tracing.get())  # put back afterwards
        yield tracing.start("orders", "orders.worker.0"), found


def test_off_it_imports_nothing_and_passes_the_parent_on() -> None:
    code = (
        "import sys; from services.kit.process import runtime; from services.kit.telemetry import tracing\n"
        "assert type(tracing.start('orders', 'x')) is tracing.Tracing\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], env={}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    off = tracing.Tracing()
    assert parent_of(off.batch("c"), a_message()) == off.request("GET", PARENT).parent == PARENT


async def test_a_batch_is_linked_with_a_span_in_each_message_s_trace(on: tuple[tracing.Tracing, Collector]) -> None:
    spans, seen = on
    message, orphan = a_message(), a_message(None)
    with spans.batch("orders.t.v1") as batch:
        parent = parent_of(batch, message)
        assert parent == parent_of(batch, message)
        assert parent_of(batch, orphan)
    await spans.stop()
    (processed,) = seen.of(TRACE)
    assert (processed.name, processed.parent) == ("process t.v1", "b7ad6b7169203331")
    assert parent == f"00-{TRACE}-{processed.id}-01"
    (whole,) = [span for span in seen.spans if span.name == "transaction orders.t.v1"]
    assert processed.links == (whole.id,)
    assert len(whole.links) == 2
    assert processed.attributes["messaging.kafka.offset"] == 7


async def test_an_error_is_told_by_its_type_only(on: tuple[tracing.Tracing, Collector]) -> None:
    spans, seen = on

    def fail() -> None:
        with spans.batch("orders.t.v1") as batch:
            parent_of(batch, a_message())
            raise ValueError(SECRET)

    with pytest.raises(ValueError, match="Auntie"):
        fail()
    request = spans.request("POST", None)
    request.end("/v1/orders", 503)
    await spans.stop()
    assert [span.failed for span in seen.spans] == [True] * 3
    assert "Auntie" not in repr(seen.spans)


async def test_a_published_row_shows_how_long_it_waited(on: tuple[tracing.Tracing, Collector]) -> None:
    spans, seen = on
    rows: list[tracing.Published] = [("t.v1", UUID(int=1), PARENT, 2.5), ("t.v1", UUID(int=2), None, 0.1)]
    spans.published(rows, time.monotonic())
    await spans.stop()
    (published,) = seen.spans
    assert (published.name, published.trace) == ("publish t.v1", TRACE)
    assert 2.5 <= published.seconds < 60
