"""Compares sent records with the log, in both directions, and lists records that are not sent yet."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from contracts.topics import BY_NAME, DEPLOYED
from deploy.audit.evidence.evidence import Evidence
from deploy.audit.evidence.log import Record
from deploy.audit.finding import Finding
from deploy.audit.invariants.facts import Row


def waiting(evidence: Evidence) -> Iterator[Finding]:
    """Every outbox is empty, except for records that the broker refuses and later ones of the same subject."""
    for service in DEPLOYED:
        rows = evidence.rows(service, "outbox")
        held = {(row["topic"], row["subject"]) for row in rows if row["held"]}
        left = [row for row in rows if (row["topic"], row["subject"]) not in held]
        if left:
            oldest = max(row["age_s"] for row in left)
            what = f"{len(left)} rows are in flight, the first {left[0]['topic']} about {left[0]['subject']}"
            yield Finding("outbox", service, f"{what}; the oldest has waited {oldest:.1f} s", f"{service}.outbox")


def sent(evidence: Evidence) -> Iterator[Finding]:
    """Every archived row is in the log at its offset, with the bytes that were sent.

    Compacted topics are left out because they drop records. Offset -1 means that Kafka did not report the offset after
    a retry; such a row is looked up by its id.
    """
    copies = _copies(evidence)
    for service, row in _archived(evidence):
        record = evidence.by_place.get((row["topic"], row["partition"], row["position"]))
        if row["position"] < 0:
            record = copies.get((row["topic"], row["event_id"]))
        where = f"{service}.outbox_sent {row['id']}"
        place = f"{row['topic']}/{row['partition']}@{row['position']}"
        if record is None:
            yield Finding("archive", row["event_id"], f"was sent as {place}, where the log has no record", where)
        elif record.id != row["event_id"]:
            yield Finding("archive", row["event_id"], f"was sent as {place}, where the log has {record.id}", where)
        elif row["digest"] != (None if record.value is None else sha256(record.value).digest()):
            yield Finding("archive", row["event_id"], f"was sent with other content than the log has at {place}", where)


def unsent(evidence: Evidence) -> Iterator[Finding]:
    """Every record of the log was sent by the outbox of a service that may write to the topic."""
    known = {
        (row["topic"], row["event_id"])
        for service in DEPLOYED
        for table in ("outbox", "outbox_sent")
        for row in evidence.rows(service, table)
        if service in BY_NAME[row["topic"]].writers
    }
    for record in evidence.log.records:
        if (record.topic, record.id) not in known:
            yield Finding("archive", record.id or "a record without an id", "was sent by no outbox", record.where)


def _archived(evidence: Evidence) -> Iterator[tuple[str, Row]]:
    for service in DEPLOYED:
        for row in evidence.rows(service, "outbox_sent"):
            if not BY_NAME[row["topic"]].compacted:
                yield service, row


def _copies(evidence: Evidence) -> dict[tuple[str, str], Record]:
    return {(record.topic, record.id): record for record in evidence.log.records}
