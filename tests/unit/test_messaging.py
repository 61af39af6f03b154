"""The pure corners of messaging: ids that follow from causes, scopes of unreadable records, sparse logs."""

import logging
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.envelope import Envelope
from contracts.events.orders import OrderCollected, OrderExpired
from services.inventory.app import SERVICE as INVENTORY
from services.kit.clock import ManualClock
from services.kit.consumer.delivery import Delivery, clean, unreadable
from services.kit.consumer.processor import _sort
from services.kit.consumer.subscription import Subscription, TopicSource
from services.kit.kafka import Sparse
from services.kit.relay import publisher
from services.kit.transaction.message import Message, Record
from services.kit.transaction.ports import Ports
from services.kit.transaction.unit_of_work import CORRELATION, Origin, UnitOfWork
from tests.integration.probe.service import OUT, Echo

NOW = datetime(2026, 5, 1, 6, tzinfo=UTC)


def uow(consumer: str = "probe.in", cause: UUID | None = None) -> UnitOfWork:
    unit = UnitOfWork(None, Ports(ManualClock(NOW)), consumer)  # type: ignore[arg-type]
    if cause:
        envelope = Envelope(cause, "t", "s", "a", NOW, correlation="c1", traceparent="00-1-2-03")
        unit.cause = Message(envelope, None, Record("t", 0, 0, b"a", b"", {}))
    return unit


def test_an_id_follows_from_consumer_cause_type_subject_and_part_only():
    cause = uuid4()
    first = uow(cause=cause).emit(Echo(account="a", n=1), part="x")
    assert first == uow(cause=cause).emit(Echo(account="a", n=2), part="x")
    others = {
        uow(cause=cause).emit(Echo(account="a", n=1), part="y"),
        uow(cause=cause).emit(Echo(account="b", n=1), part="x"),
        uow(cause=uuid4()).emit(Echo(account="a", n=1), part="x"),
        uow("probe.other", cause).emit(Echo(account="a", n=1), part="x"),
        uow().emit(Echo(account="a", n=1), part="x"),
    }
    assert first not in others
    assert len(others) == 5


def test_an_event_names_the_services_that_read_it():
    unit = uow("orders.api")
    unit.emit(OrderExpired(order=uuid4()))
    unit.emit(OrderCollected(order=uuid4(), reservation=uuid4(), pool="2026-05-01@north", lines=[]))
    unit.erase("orders.recipient.v1", "o1")
    assert [row.headers.get("ce_readers") for row in unit._rows.values()] == ["none", "inventory", None]


def test_an_event_names_its_cause_and_its_request():
    unit = uow(cause=(cause := uuid4()))
    unit.emit(Echo(account="a", n=1))
    headers = next(iter(unit._rows.values())).headers
    assert (headers["ce_causationid"], headers["ce_correlationid"]) == (str(cause), "c1")
    assert (headers["traceparent"], headers["ce_time"]) == ("00-1-2-03", "2026-05-01T06:00:00Z")
    token = CORRELATION.set("request-7")
    unit = uow("probe.api")
    unit.erase(OUT, "a")
    CORRELATION.reset(token)
    headers = next(iter(unit._rows.values())).headers
    assert (headers["ce_correlationid"], headers["ce_source"]) == ("request-7", "probe")
    assert "ce_causationid" not in headers


def test_the_origin_of_an_event_can_be_given_as_a_value():
    unit, parent = uow("probe.api"), "00-4-5-06"
    for n in range(2):
        unit.emit(Echo(account=f"a{n}", n=n), origin=Origin(f"request-{n}", parent if n else None))
    sent = [(row.headers["ce_correlationid"], row.headers.get("traceparent")) for row in unit._rows.values()]
    assert sent == [("request-0", None), ("request-1", parent)]
    caused = uow(cause=uuid4())
    caused.emit(Echo(account="a", n=1), origin=Origin("request-9", None))
    assert next(iter(caused._rows.values())).headers["ce_correlationid"] == "c1"


def test_the_time_of_a_transaction_stands_still_unless_it_is_read_anew():
    clock = ManualClock(NOW)
    unit = UnitOfWork(None, Ports(clock), "probe")  # type: ignore[arg-type]
    assert unit.now == NOW
    clock.set(NOW.replace(hour=7))
    assert unit.now == NOW
    assert unit.read_clock() == unit.now == NOW.replace(hour=7)


@given(st.binary(max_size=600), st.binary(max_size=50), st.booleans())
def test_an_unreadable_record_has_a_stable_id_and_a_storable_scope(key: bytes, value: bytes, by_key: bool):
    record = Record("t", 1, 2, key, value, {})
    first, again = unreadable(record, "why", by_key=by_key), unreadable(record, "why", by_key=by_key)
    assert first.id == again.id
    assert first.id != unreadable(Record("t", 1, 2, key, value + b"x", {}), "why", by_key=by_key).id
    assert "\x00" not in first.scope
    assert 0 < len(first.scope) <= 400
    assert by_key or first.scope == "t/1/2"
    assert first.behind == {first.scope}


@given(st.binary())
def test_cleaned_text_can_be_stored_and_sent(raw: bytes):
    assert "\x00" not in clean(raw)
    assert clean(raw).encode().decode() == clean(raw)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30), st.sets(st.sampled_from("abc")))
def test_nothing_runs_behind_something_parked_of_its_scope(items, blocked):
    record = Record("t", 0, 0, None, b"", {})
    deliveries = [
        Delivery(record, uuid4(), scope, frozenset({scope}), fault="bad" if bad else None) for scope, bad in items
    ]
    runs, parks, obsolete = _sort(deliveries, set(blocked))
    assert not obsolete.scopes
    order = {delivery.id: n for n, delivery in enumerate(deliveries)}
    assert sorted([*(order[d.id] for d in runs), *(order[d.id] for d, _ in parks)]) == list(range(len(items)))
    for scope in "abc":
        parked = [order[d.id] for d, s in parks if s == scope]
        ran = [order[d.id] for d in runs if d.scope == scope]
        assert parked == sorted(parked)
        assert ran == sorted(ran)
        assert not (parked and ran) or max(ran) < min(parked)
        assert scope not in blocked or not ran


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30), st.sets(st.sampled_from("abc")))
def test_on_a_compacted_topic_what_can_be_read_replaces_what_was_parked_before_it(items, blocked):
    record = Record("orders.catalog.v1", 0, 0, None, b"", {})
    message: Any = object()
    deliveries = [
        Delivery(record, uuid4(), scope, frozenset({scope}), message, fault="bad" if bad else None)
        for scope, bad in items
    ]
    runs, parks, obsolete = _sort(deliveries, set(blocked))
    assert [d.id for d in runs] == [d.id for d in deliveries if d.fault is None], "nothing good waits"
    shown = {d.id for d, _ in [*parks, *obsolete.rejects]}
    assert shown == {d.id for d in deliveries if d.fault}, "nothing bad is lost"
    last = dict(items)
    assert {scope for _, scope in parks} == {scope for scope, bad in last.items() if bad}
    good = {scope for scope, bad in items if not bad}
    assert obsolete.scopes >= good & blocked


def test_a_log_that_repeats_itself_is_thinned_out(monkeypatch: pytest.MonkeyPatch):
    now = 100.0
    monkeypatch.setattr("services.kit.kafka.time.monotonic", lambda: now)
    sparse = Sparse(every=5)

    def line(text: str) -> logging.LogRecord:
        return logging.LogRecord("aiokafka", logging.ERROR, "", 0, text, ("node 1",), None)

    assert [sparse.filter(line("gone: %s")) for _ in range(3)] == [True, False, False]
    assert sparse.filter(line("other: %s"))
    now = 105.1
    assert sparse.filter(line("gone: %s"))


@pytest.mark.slow
def test_the_memory_of_partitions_stays_small():
    """A cache of the last 65 536 subjects once grew a worker by 14 MB."""
    publisher._hash.cache_clear()
    tracemalloc.start()
    for n in range(70_000):
        publisher._hash(f"01933c5a-0001-7001-8abc-{n:012}")
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 2_000_000


@pytest.mark.parametrize(
    ("topic", "scope"), [("orders.order.v1", "market.orders.order-lent.v1"), ("orders.catalog.v1", "offer/1")]
)
def test_an_unknown_type_waits_under_its_type_or_where_its_key_replaces_it(topic: str, scope: str):
    headers = {"ce_id": str(uuid4()), "ce_type": "market.orders.order-lent.v1", "ce_subject": "offer/1"}
    record = Record(topic, 0, 0, b"offer/1", b"{}", headers | {"ce_time": "2026-05-01T06:00:00Z"})
    found = TopicSource("inventory", Subscription(topic, {}), {}).read(record)
    assert found
    assert (found.scope, found.behind) == (scope, {scope})


def test_a_service_without_a_handler_for_one_of_its_commands_is_refused():
    *most, command = INVENTORY.subscriptions[0].handlers
    without = Subscription("inventory.command.v1", {kind: lambda *_: None for kind in most})
    with pytest.raises(ValueError, match=command.TYPE):
        replace(INVENTORY, subscriptions=(without, *INVENTORY.subscriptions[1:]))
