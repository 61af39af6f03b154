"""Observability of a real run: the metrics that dashboard and alerts use, and the trace of an order."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from contracts.topics import SERVICES
from tests.collector import Collector, ReceivedSpan, collector
from tests.stack import TestStack, eventually
from tests.system.three_services import Three, three_services

pytestmark = pytest.mark.stack
DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = DEPLOY / "dashboards" / "halfday.json"
ALERTS = DEPLOY / "dashboards" / "alerts.yaml"
NAME = re.compile(r"\b(?:halfday|process)_[a-z_]+")
TRACE = "0af7651916cd43dd8448eb211c80319c"
RELAYED = {f"publish {topic}" for topic in ("inventory.command.v1", "inventory.stock.v1", "dispatch.job.v1")}
SUFFIXES = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}


@pytest.fixture(scope="module")
def traces() -> Iterator[Collector]:
    with collector() as found:
        yield found


@pytest.fixture(scope="module")
async def three(stack: TestStack, traces: Collector, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Three]:
    """All services, and an order that went through them."""
    stack.topics(prefix := f"t{tmp_path_factory.mktemp('seen').name}.")
    told = {"OTEL_EXPORTER_OTLP_ENDPOINT": traces.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
    async with three_services(stack, prefix, tmp_path_factory.mktemp("logs"), **told) as found:
        await found.supply()
        await found.scheduled(await found.order(traceparent=f"00-{TRACE}-b7ad6b7169203331-01"))
        yield found


def expressions() -> Iterator[str]:
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from re.findall(r"^\s+expr: (.+)$", ALERTS.read_text(), re.M)


def exported(page: str) -> dict[str, str]:
    """Every name that a query may use, with the family that it belongs to."""
    families = re.findall(r"^# TYPE (\S+) (counter|gauge|histogram)$", page, re.M)
    return {name + suffix: name for name, kind in families for suffix in SUFFIXES[kind]}


def value(page: str, sample: str) -> float | None:
    found = re.search(rf"^{re.escape(sample)} (\S+)$", page, re.M)
    return float(found[1]) if found else None


async def test_dashboard_and_alerts_name_metrics_that_exist_and_forget_none(three: Three) -> None:
    known: dict[str, str] = {}
    for service in SERVICES:
        known |= exported(await three.metrics(service))
    asked = {name for expression in expressions() for name in NAME.findall(expression)}
    assert asked - set(known) == set()
    ours = {family for family in known.values() if family.startswith("halfday_") and not family.endswith("_created")}
    assert ours - {known[name] for name in asked} == set()


async def test_an_order_moves_the_signals(three: Three) -> None:
    async def measured() -> bool:
        page = await three.metrics("orders")
        lag = value(page, 'halfday_lag_records{consumer="orders.dispatch.job.v1"}')
        return lag == 0 and value(page, "halfday_outbox_oldest_seconds") is not None

    await eventually(measured, 20)
    orders, inventory = await three.metrics("orders"), await three.metrics("inventory")
    accepted = 'halfday_http_seconds_count{method="POST",route="/v1/orders",status="201"}'
    assert value(orders, accepted) == 1
    assert value(orders, 'halfday_handled_total{consumer="orders.inventory.stock.v1"}') == 1
    assert value(inventory, 'halfday_handled_total{consumer="inventory.inventory.command.v1"}') == 1
    assert value(inventory, "halfday_overdrawn") == 0
    assert value(orders, "halfday_parked_waiting") == value(orders, "halfday_signals_failed_total") == 0


async def test_one_trace_spans_three_services_through_the_outbox(three: Three, traces: Collector) -> None:
    def whole() -> bool:
        """Each process sends its spans on its own time: whole is when the last has arrived with all that led to it."""
        spans = traces.of(TRACE)
        by_id = {span.id: span for span in spans}
        last = [span for span in spans if span.name == "process dispatch.job-planned.v1"]
        relayed = {span.name for span in spans if span.name.startswith("publish ")}
        return bool(last) and len(list(ancestors(last[0], by_id))) >= 5 and relayed >= RELAYED

    await eventually(whole, 30)
    spans = traces.of(TRACE)
    assert {span.service for span in spans} == set(SERVICES)
    by_id = {span.id: span for span in spans}
    last = next(span for span in spans if span.name == "process dispatch.job-planned.v1")
    assert [f"{span.service}: {span.name}" for span in ancestors(last, by_id)] == [
        "orders: process dispatch.job-planned.v1",
        "dispatch: process dispatch.schedule-delivery.v1",
        "orders: process inventory.stock-reserved.v1",
        "inventory: process inventory.reserve-stock.v1",
        "orders: POST /v1/orders",
    ]
    assert not any(span.failed for span in spans)
    assert "李姐" not in repr(traces.spans)


def ancestors(span: ReceivedSpan, by_id: dict[str, ReceivedSpan]) -> Iterator[ReceivedSpan]:
    """The span and what led to it, as far as we made it."""
    while True:
        yield span
        if span.parent not in by_id:
            return
        span = by_id[span.parent]


def test_every_alert_has_its_runbook() -> None:
    alerts = re.findall(r"- alert: (\w+)\n(.*?)(?=\n      - |\Z)", ALERTS.read_text(), re.S)
    assert len(alerts) >= 8
    for name, body in alerts:
        runbook = re.search(r"runbook: ([\w-]+\.md)", body)
        assert runbook, name
        assert (DEPLOY / "runbooks" / runbook[1]).is_file(), name
