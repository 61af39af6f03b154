"""Records that a log has lost by its archive: a cut tail, and a topic that was created again."""

from __future__ import annotations

from deploy.audit.evidence.evidence import Evidence
from deploy.audit.evidence.log import Log, Place, Record
from deploy.audit.evidence.tables import TABLES
from deploy.audit.invariants.facts import Row
from deploy.audit.republish import lost

OPEN, COMPACTED, PRIVATE = ("orders.order.v1", 0), ("orders.catalog.v1", 0), ("orders.recipient.v1", 3)


def sent(id: int, place: Place, position: int) -> Row:
    """The archive's row of an event."""
    return {"id": id, "topic": place[0], "partition": place[1], "position": position, "event_id": f"e{id}"}


def found(log: list[Row], archive: list[Row], ends: dict[Place, int]) -> dict[Place, int]:
    """Return the records that orders' topics have lost, when the log has these archived rows."""
    records = [Record(r["topic"], r["partition"], r["position"], "k", b"", {"ce_id": r["event_id"]}) for r in log]
    books: dict[tuple[str, str], list[Row]] = {(s, t): [] for s, names in TABLES.items() for t in names}
    books["orders", "outbox_sent"] = archive
    spans = {OPEN: (0, 0), COMPACTED: (0, 0)} | {place: (0, end) for place, end in ends.items()}
    return lost(Evidence(Log(tuple(records), spans), books), "orders")


def test_a_log_that_lost_nothing() -> None:
    rows = [sent(1, COMPACTED, 0), sent(2, PRIVATE, 0), sent(3, COMPACTED, 1), sent(4, OPEN, 0)]
    # Compaction took the first of the catalogue: it is not lost, the second says all that it said.
    assert found(rows[2:], rows, {OPEN: 1, COMPACTED: 2}) == {}


def test_a_cut_tail() -> None:
    rows = [sent(1, COMPACTED, 0), sent(2, OPEN, 0), sent(3, OPEN, 1), sent(4, COMPACTED, 1)]
    assert found(rows[:2], rows, {OPEN: 1, COMPACTED: 1}) == {OPEN: 1, COMPACTED: 1}


def test_the_private_topic_is_sent_again_whole_where_anything_was_lost() -> None:
    rows = [sent(1, PRIVATE, 4), sent(2, OPEN, 0), sent(3, PRIVATE, 5)]
    assert found([], rows, {}) == {OPEN: 0, PRIVATE: 4}


def test_a_log_that_was_begun_anew_and_has_new_records_already() -> None:
    old = [sent(1, COMPACTED, 0), sent(2, COMPACTED, 1), sent(3, OPEN, 0)]
    new = [sent(4, COMPACTED, 0), sent(5, COMPACTED, 1), sent(6, OPEN, 0)]
    assert found(new, old + new, {OPEN: 1, COMPACTED: 2}) == {OPEN: 0, COMPACTED: 0}
