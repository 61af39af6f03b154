"""The audit's checks on small logs and tables: repeats, order, dead letters, and a lost tail."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import pytest

from contracts.envelope import Event
from contracts.events.catalog import StationPut
from contracts.events.orders import OrderReserved
from deploy.audit.checks import archive, inbox, records
from deploy.audit.evidence.evidence import Evidence
from deploy.audit.evidence.log import Log, Record
from deploy.audit.evidence.tables import TABLES
from deploy.audit.invariants import deliveries, events
from deploy.audit.invariants.facts import Row
from deploy.audit.invariants.invariant import Invariant
from deploy.audit.republish import lost
from deploy.audit.verdict import judge
from deploy.cli.dead_letters import split
from deploy.local.errors import StackError

ORDER = uuid5(NAMESPACE_OID, "order")
TOPIC = "orders.order.v1"


def record(n: int, seq: int, offset: int, **headers: str) -> Record:
    """The n-th event about the order, under a number, at an offset."""
    event: Event = OrderReserved(order=ORDER, reservation=uuid5(NAMESPACE_OID, str(n)))
    known = {"ce_id": f"event-{n}", "ce_type": event.TYPE, "ce_subject": event.subject, "ce_seq": str(seq)}
    return Record(TOPIC, 0, offset, event.key, event.model_dump_json().encode(), known | headers)


def sent(found: Record) -> Row:
    """The archive's row of a record."""
    return {
        "id": found.offset, "topic": found.topic, "subject": str(ORDER), "seq": 1, "event_id": found.id,
        "type": found.headers["ce_type"], "digest": sha256(found.value or b"").digest(),
        "partition": found.partition, "position": found.offset,
    }  # fmt: skip


def evidence(*found: Record, end: int | None = None, **tables: list[Row]) -> Evidence:
    """A log, and the tables of orders that are given; all others are empty."""
    books: dict[tuple[str, str], list[Row]] = {(s, t): [] for s, names in TABLES.items() for t in names}
    books |= {("orders", table): rows for table, rows in tables.items()}
    return Evidence(Log(found, {(TOPIC, 0): (0, len(found) if end is None else end)}), books)


def words(findings: Any) -> list[str]:
    """Return the findings' texts."""
    return [finding.what for finding in findings]


def judged(one: Invariant, found: Evidence) -> list[str]:
    """Return the texts of an invariant's findings."""
    return words(one.findings(found.facts))


def test_a_repeat_after_later_records_keeps_its_first_place() -> None:
    first, second, again = record(1, 1, 0), record(2, 2, 1), record(1, 1, 2)
    found = evidence(first, second, again)
    assert [fact.where for fact in found.topics[TOPIC]] == [first.where, second.where]
    assert not judged(events.numbered, found)
    assert not judged(events.one_content, found)
    assert len(found.topics.repeats) == 1


def test_a_number_that_was_given_up_is_no_hole() -> None:
    refused = {"consumer": "orders.relay", "topic": TOPIC, "headers": json.dumps(record(2, 2, 1).headers)}
    assert not judged(events.numbered, evidence(record(1, 1, 0), record(3, 3, 1), parked=[refused]))


def test_one_id_with_two_contents() -> None:
    (said,) = judged(events.one_content, evidence(record(1, 1, 0), record(1, 1, 1, ce_time="later")))
    assert said.startswith("differs from orders.order.v1/0@0")


def test_archive_and_log_agree_both_ways() -> None:
    known, unknown = record(1, 1, 0), record(2, 2, 1)
    found = evidence(known, unknown, outbox_sent=[sent(known), {**sent(unknown), "position": 7, "event_id": "gone"}])
    assert words(archive.sent(found)) == ["was sent as orders.order.v1/0@7, where the log has no record"]
    assert words(archive.unsent(found)) == ["was sent by no outbox"]


def test_an_offset_that_kafka_did_not_tell_is_looked_up_by_id() -> None:
    known = record(1, 1, 0)
    assert not words(archive.sent(evidence(known, outbox_sent=[{**sent(known), "position": -1}])))
    assert words(archive.sent(evidence(outbox_sent=[{**sent(known), "position": -1}])))


def test_what_the_broker_refuses_is_not_in_flight_nor_what_waits_behind_it() -> None:
    row = {"id": 1, "topic": TOPIC, "key": "k", "subject": "s", "event_id": "e", "headers": "{}", "payload": b"{}"}
    rows = [{**row, "held": True, "age_s": 9.0}, {**row, "id": 2, "held": False, "age_s": 8.0}]
    assert not words(archive.waiting(evidence(outbox=rows)))
    (said,) = words(archive.waiting(evidence(outbox=[{**rows[1], "subject": "other"}, *rows])))
    assert said == "1 rows are in flight, the first orders.order.v1 about other; the oldest has waited 8.0 s"


def test_a_row_that_waits_is_told_already() -> None:
    first, second = record(1, 1, 0), record(2, 2, 1)
    row = {"id": 4, "topic": TOPIC, "headers": json.dumps(second.headers), "payload": second.value}
    assert [fact.where for fact in evidence(first, outbox=[row]).topics[TOPIC]] == [first.where, "orders.outbox 4"]


def test_a_record_that_no_contract_reads_is_named_unless_it_is_parked() -> None:
    bad = record(1, 1, 0)
    bad = Record(TOPIC, 0, 0, bad.key, b"[]", bad.headers)
    parked = {"id": 1, "consumer": "inventory.orders.order.v1", "scope": str(ORDER), "event_id": bad.id,
              "topic": TOPIC, "partition": 0, "position": 0, "headers": "{}", "payload": b"[]", "error": "bad",
              "attempts": 1, "discarded": False, "why": None}  # fmt: skip
    assert words(records.readable(evidence(bad))) == ["market.orders.order-reserved.v1 can't be read by its contract"]
    accounted = evidence(bad, parked=[parked])
    assert not words(records.readable(accounted))
    assert str(ORDER) in accounted.accounted


def test_parked_records_are_listed_and_do_not_make_the_books_fail() -> None:
    bad = record(1, 1, 0)
    parked = {"id": 3, "consumer": "orders.relay", "scope": "s", "event_id": "e", "topic": TOPIC, "partition": -1,
              "position": -1, "headers": "{}", "payload": None, "error": "too large", "attempts": 1,
              "discarded": False, "why": None}  # fmt: skip
    verdict = judge(evidence(parked=[parked]))
    assert (verdict.ok, verdict.dead_letters) == (True, 1)
    assert verdict.lines[-2:] == [
        "  dead letter  orders/3  orders.relay  s: too large", "The audit passed; dead letters: 1"]  # fmt: skip
    assert not judge(evidence(bad, parked=[parked])).ok


def test_an_effect_whose_cause_the_log_lost() -> None:
    row = {"consumer": "orders.orders.order.v1", "event_id": "event-9"}
    assert words(inbox.known(evidence(record(1, 1, 0), inbox=[row]))) == [
        "has taken effect but is not on orders.order.v1"
    ]


def test_the_lost_tail_begins_at_the_first_record_that_the_log_lacks() -> None:
    there, gone = record(1, 1, 0), [record(n, n, n - 1) for n in (2, 3)]
    found = evidence(there, outbox_sent=[sent(one) for one in (there, *gone)])
    assert lost(found, "orders") == {(TOPIC, 0): 1}
    assert lost(evidence(there, outbox_sent=[sent(there)]), "orders") == {}


def test_a_parked_record_is_named_by_its_service() -> None:
    assert split("inventory/12") == ("inventory", 12)
    for wrong in ("12", "stock/12", "orders/x", "orders/"):
        with pytest.raises(StackError, match="invalid record id"):
            split(wrong)


@pytest.mark.parametrize(("went_by", "said"), [("scheduled", ["is in wave w1, its job in w2"]), ("cancelling", [])])
def test_a_wave_differs_only_for_an_order_that_listened(went_by: str, said: list[str]) -> None:
    order = {"order_id": "o", "state": "loaded", "job": "j", "fulfilment": "delivery", "wave": "w1"}
    steps = [{"order_id": "o", "to_state": state} for state in ("reserved", went_by, "loaded")]
    found = evidence(orders=[order], order_history=steps)
    job = {"id": "j", "order_id": "o", "state": "loaded", "wave": "w2", "lines": "[]"}
    found.tables["dispatch", "job"].append(job)  # type: ignore[attr-defined]
    assert judged(deliveries.agree, found) == said


def test_a_blocked_wave_is_named_and_the_books_hold() -> None:
    found = evidence()
    found.tables["dispatch", "wave"].append({"id": "noon", "blocked": "station guandu has no usable position"})  # type: ignore[index]
    verdict = judge(found)
    assert verdict.ok
    assert "  blocked  wave noon: station guandu has no usable position" in verdict.lines
    assert verdict.lines[-2:] == ["The audit passed.", "Waves that can't be planned: 1"]


def put(offset: int, body: dict[str, Any], id: str = "town") -> Record:
    """A station's record on the catalogue's topic."""
    headers = {
        "ce_id": f"put-{offset}",
        "ce_type": StationPut.TYPE,
        "ce_subject": f"station/{id}",
        "ce_seq": str(offset + 1),
    }
    return Record(StationPut.TOPIC, 0, offset, f"station/{id}", json.dumps({"id": id, **body}).encode(), headers)


STATION = {"name_zh": "镇", "lat": 28.2, "lon": 112.9}


def test_a_record_that_a_later_one_of_its_key_replaced_is_said_and_no_difference() -> None:
    """Before, the audit stayed red for good after a PUT had put the entry right."""
    broken = put(0, STATION | {"lat": None})
    found = evidence(broken, put(1, STATION))
    assert not words(records.readable(found))
    assert [line for line in judge(found).lines if line.startswith("  replaced")] == [
        "  replaced  station/town: market.orders.station-put.v1 can't be read by its contract, and a later record of "
        "its key can (orders.catalog.v1/0@0)"
    ]


@pytest.mark.parametrize("later", [put(1, STATION, "hill"), put(1, STATION | {"lat": None})])
def test_the_latest_of_a_key_must_be_readable(later: Record) -> None:
    found = evidence(put(0, STATION | {"lat": None}), later)
    assert words(records.readable(found))[0] == "market.orders.station-put.v1 can't be read by its contract"


def test_a_stored_entry_that_cannot_be_read_is_named() -> None:
    rows: list[Row] = [
        {"kind": "communities", "id": "c", "body": json.dumps(STATION)},
        {"kind": "market-days", "id": "sat", "body": "7"},
        {"kind": "stations", "id": "town", "body": json.dumps(STATION | {"lat": None})},
        {
            "kind": "prices",
            "id": "p",
            "body": json.dumps(
                {"item": "i", "channel": "web", "price_fen": 1, "effective_from": "2026-01-01T00:00:00Z"}
            ),
        },
        {"kind": "gadgets", "id": "g", "body": "{}"},
    ]
    found = evidence(catalog=rows)
    found.tables["dispatch", "catalog"].append({"key": "site/s", "type": "", "body": "{}"})  # type: ignore[attr-defined]
    lines = judge(found).lines
    assert [line for line in lines if line.startswith("  unreadable")] == [
        "  unreadable  orders.catalog market-day/sat: it is no object",
        "  unreadable  orders.catalog station/town: lat: Input should be a valid number",
        "  unreadable  orders.catalog price/p: channel: 'web' is not known",
        "  unreadable  orders.catalog gadget/g: no such kind is known",
        "  unreadable  dispatch.catalog site/s: name_zh: Field required",
    ]
    assert lines[-2:] == ["The audit passed.", "Catalogue entries that can't be read: 5"]
