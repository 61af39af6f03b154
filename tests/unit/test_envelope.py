"""The envelope goes into headers and comes back; what can't be read says which header is wrong."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.envelope import Envelope, Event, Unreadable, read_envelope
from contracts.events.catalog import PricePut
from contracts.events.orders import OrderReserved

ID = UUID("01933c5a-7c00-7abc-8def-0123456789ab")
FULL = Envelope(
    id=ID,
    type="market.orders.order-reserved.v1",
    source="orders",
    subject="o-1",
    time=datetime(2026, 11, 7, 8, 30, tzinfo=UTC),
    seq=3,
    key="o-1",
    correlation="req-7f3a",
    causation=str(ID),
    traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    readers="inventory,orders",
)
NEEDED = ["ce_id", "ce_type", "ce_subject", "ce_time"]
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40)


@given(
    subject=TEXT,
    seq=st.none() | st.integers(1, 2**63),
    time=st.datetimes(timezones=st.timezones()),
    correlation=st.none() | TEXT,
)
def test_every_envelope_comes_back(subject: str, seq: int | None, time: datetime, correlation: str | None) -> None:
    sent = Envelope(ID, "market.orders.x.v1", "orders", subject, time, seq=seq, key="k", correlation=correlation)
    read = read_envelope(sent.headers())
    assert (read.subject, read.seq, read.correlation, read.key) == (subject, seq, correlation, "k")
    assert read.time.utcoffset() == time.utcoffset() or abs(read.time - time) < timedelta(seconds=60)


def test_headers_are_cloudevents_and_ascii() -> None:
    headers = FULL.headers()
    assert headers["ce_specversion"] == "1.0"
    assert headers["ce_time"] == "2026-11-07T08:30:00Z"
    assert headers["ce_dataschema"] == "schemas/orders.order-reserved.v1.json"
    assert headers["correlation_id"] == headers["ce_correlationid"] == "req-7f3a"
    assert all(name.isascii() and value.isascii() for name, value in headers.items())
    assert read_envelope(headers) == FULL


def test_what_is_absent_has_no_header() -> None:
    bare = Envelope(ID, FULL.type, "orders", "o-1", FULL.time).headers()
    assert (
        not {"ce_seq", "ce_causationid", "ce_correlationid", "correlation_id", "ce_readers", "traceparent"}
        & bare.keys()
    )
    assert read_envelope(bare).seq is None


@pytest.mark.parametrize("name", NEEDED)
def test_a_missing_header_is_named(name: str) -> None:
    headers = FULL.headers()
    del headers[name]
    with pytest.raises(Unreadable, match=name):
        read_envelope(headers)


@pytest.mark.parametrize(
    ("name", "value"),
    [("ce_id", "7"), ("ce_time", "yesterday"), ("ce_time", "2026-11-07T08:30:00"), ("ce_seq", "third")],
)
def test_a_malformed_header_is_refused(name: str, value: str) -> None:
    with pytest.raises(Unreadable, match="malformed"):
        read_envelope(FULL.headers() | {name: value})


def test_an_event_says_its_type_key_and_subject() -> None:
    event = OrderReserved(order=ID, reservation=ID)
    price = PricePut(id="p1", item="honey", channel="app", price_fen=1, effective_from=FULL.time)
    assert (event.TYPE, event.key, event.subject) == ("market.orders.order-reserved.v1", str(ID), str(ID))
    assert (price.TYPE, price.key, price.subject) == ("market.orders.price-put.v1", "price/p1", "price/p1")


def test_a_major_stands_in_the_type_and_a_keyless_event_says_so() -> None:
    class OrderSplit(Event, topic="orders.order.v1", major=2):
        """A type of tomorrow."""

    assert OrderSplit.TYPE == "market.orders.order-split.v2"
    with pytest.raises(NotImplementedError, match="OrderSplit"):
        _ = OrderSplit().key
