"""The audit of a small day holds; then each thing that it checks is broken in turn, and it names it."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

import asyncpg
import pytest
from confluent_kafka import Producer

from contracts.envelope import Envelope, Event
from contracts.events.inventory import ReleaseStock
from contracts.events.orders import OrderDelivered, OrderFailed, SessionOpened
from deploy.audit import Finding, Verdict, run
from deploy.audit.evidence.evidence import Evidence
from deploy.audit.evidence.log import Log, Record
from deploy.audit.evidence.tables import read_tables
from deploy.audit.gather import gather
from deploy.audit.verdict import judge
from deploy.cli.__main__ import main
from deploy.local.data.secrets import Secrets
from deploy.local.processes.child import wait_until
from deploy.local.stack import Stack
from services.kit.transaction import outbox
from tests.system.audit_breaks import BREAKS
from tests.system.audit_day import NOW, PHONE, POOL, TILL, SmallDay

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDay]:
    """A day that was played on a stack that still runs."""
    with Stack(tmp_path_factory.mktemp("audit")) as stack:
        stack.wait_ready(120)
        played = SmallDay(stack)
        played.play()
        played.evidence = asyncio.run(gather(played.endpoints, 10))
        yield played


@pytest.fixture(scope="module")
def evidence(day: SmallDay) -> Evidence:
    """Evidence of the audit after the day's end."""
    return day.evidence


def of(verdict: Verdict, check: str, words: str, subject: str = "") -> Finding:
    """The finding that says so."""
    found = [f for f in verdict.findings if f.check == check and words in f.what and subject in (f.subject, "")]
    assert found, verdict.lines
    assert not verdict.ok
    return found[0]


def test_the_books_of_a_day_hold(day: SmallDay, evidence: Evidence) -> None:
    verdict = judge(evidence)
    assert verdict.ok, verdict.lines
    assert verdict.lines[-1] == "The audit passed."
    assert {fact.type for fact in evidence.topics["inventory.stock.v1"]} >= {
        "stock-reserved", "stock-refused", "stock-committed", "reservation-released", "allotment-granted",
        "allotment-returned", "stock-moved",
    }  # fmt: skip
    of(judge(evidence, require_terminal=True), "end", "is still reserved", day.orders["open"])


@pytest.mark.parametrize("name", BREAKS)
async def test_what_is_wrong_in_a_database_is_named(name: str, day: SmallDay, evidence: Evidence) -> None:
    found, ids = BREAKS[name], day.orders | {"sale": day.sales["kept"], "lot": day.lots["apples"]}
    ids["campaign"] = day.campaign
    conn = await asyncpg.connect(day.endpoints["postgres"][found.service])
    transaction = conn.transaction()
    await transaction.start()
    try:
        await conn.execute(found.sql.format(**ids))
        broken = {**evidence.tables, **await read_tables(found.service, conn)}
    finally:
        await transaction.rollback()
        await conn.close()
    verdict = judge(Evidence(evidence.log, broken))
    first = of(verdict, found.check, found.words.format(**ids), found.subject.format(**ids))
    assert any(str(first) in line for line in verdict.lines)
    assert verdict.lines[-1].startswith("The audit failed: ")


def published(evidence: Evidence, type: str) -> Record:
    """The first record of a type."""
    return next(r for r in evidence.log.records if r.headers["ce_type"].split(".")[2] == type)


def change(log: Log, record: Record, new: Record | None) -> Log:
    """The log with another record, or none, in the place of one."""
    records = [new if found is record else found for found in log.records]
    return replace(log, records=tuple(found for found in records if found))


def quantity(record: Record, to: int) -> Record:
    """The record with another quantity in its first line."""
    data = json.loads(record.value or b"")
    data["lines"][0]["quantity"] = to
    return replace(record, value=json.dumps(data).encode())


LOGS: dict[str, tuple[Callable[[Evidence], Log], str, str]] = {
    "a record is lost that was sent": (
        lambda e: change(e.log, published(e, "order-reserved"), None), "archive", "where the log has no record"),
    "a record is lost that took effect": (
        lambda e: change(e.log, published(e, "stock-reserved"), None), "inbox", "is not on inventory.stock.v1"),
    "a number stands twice": (
        lambda e: change(e.log, r := published(e, "order-reserved"), replace(r, headers={**r.headers, "ce_seq": "1"})),
        "seq", "has number 1 twice"),
    "one event says two things": (
        lambda e: replace(e.log, records=(*e.log.records, quantity(published(e, "stock-reserved"), 9))),
        "content", "under the same event id"),
    "a record can't be read": (
        lambda e: change(e.log, r := published(e, "order-reserved"), replace(r, value=b"{}")),
        "content", "can't be read by its contract"),
    "the beginning is gone": (
        lambda e: replace(e.log, spans={**e.log.spans, ("orders.order.v1", 3): (5, 9)}),
        "log", "begins at offset 5"),
}  # fmt: skip


@pytest.mark.parametrize("name", LOGS)
def test_what_is_wrong_in_the_log_is_named(name: str, evidence: Evidence) -> None:
    log, check, words = LOGS[name]
    of(judge(Evidence(log(evidence), evidence.tables)), check, words)


def test_a_repeat_in_the_log_is_absorbed(evidence: Evidence) -> None:
    last = evidence.log.records[-1]
    log = replace(evidence.log, records=(*evidence.log.records, replace(last, offset=last.offset + 1)))
    verdict = judge(Evidence(log, evidence.tables))
    assert verdict.ok, verdict.lines
    assert "(1 of them repeats)" in verdict.lines[0]


def publish(day: SmallDay, *events: Event) -> None:
    """Writes records past every outbox."""
    producer = Producer(
        {
            "bootstrap.servers": day.endpoints["kafka"]["bootstrap"],
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanisms": "SCRAM-SHA-512",
            "sasl.username": "admin",
            "sasl.password": Secrets.load(day.stack.data).kafka["admin"],
            "partitioner": "murmur2_random",  # as the relay's, so that an order's records stay in their order
        }
    )
    for event in events:
        envelope = Envelope(uuid4(), event.TYPE, "orders", event.subject, NOW, key=event.key)
        producer.produce(event.TOPIC, event.model_dump_json(), event.key, headers=dict(envelope.headers()))
    assert producer.flush(20) == 0


async def send(day: SmallDay, event: Event, payload: bytes, archived_at: int | None = None) -> None:
    """Publish a record by the outbox of orders; or archive it as sent, at an offset without a record."""
    envelope = Envelope(uuid4(), event.TYPE, "orders", event.subject, NOW, key=event.key)
    row = outbox.Outgoing(event.TOPIC, event.key, event.subject, envelope.id, envelope.headers(), payload)
    conn = await asyncpg.connect(day.endpoints["postgres"]["orders"])
    async with conn.transaction():
        await outbox.OutboxTable(conn).write([row])
        if archived_at is not None:
            id = await conn.fetchval("select id from outbox where event_id = $1", envelope.id)
            await outbox.OutboxTable(conn).archive([(id, 0, archived_at)])
    await conn.close()


@dataclass(frozen=True)
class Done:
    """Output and exit code of a command."""

    returncode: int
    stdout: str
    stderr: str


def halfday(day: SmallDay, *words: str) -> Done:
    """A command on the day's stack, run in this process."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["halfday", *words, "--data", str(day.stack.data)])
        with pytest.raises(SystemExit) as end:
            main()
    return Done(int(end.value.code or 0), out.getvalue(), err.getvalue())


def test_the_commands_on_a_stack_that_goes_wrong(day: SmallDay) -> None:
    """One story, because each part leaves its traces: a dead letter, a lost tail, forged records."""
    _a_dead_letter(day)
    _a_lost_tail(day)
    _forged_records(day)


def _a_dead_letter(day: SmallDay) -> None:
    release = ReleaseStock(reservation=uuid4(), pool=POOL, order=uuid4())
    asyncio.run(send(day, release, b"{}"))
    assert wait_until(lambda: bool(json.loads(halfday(day, "dead-letters", "--json").stdout)["parked"]), 30)
    audit = halfday(day, "audit")
    assert audit.returncode == 0, audit.stdout
    assert audit.stdout.splitlines()[-1] == "The audit passed; dead letters: 1"
    (record,) = json.loads(halfday(day, "dead-letters", "list", "--json").stdout)["parked"]
    assert (record["consumer"], record["scope"]) == ("inventory.inventory.command.v1", str(release.reservation))
    assert record["id"] in halfday(day, "dead-letters", "list").stdout
    assert "reservation: missing" in halfday(day, "dead-letters", "show", record["id"]).stdout
    again = halfday(day, "dead-letters", "redrive", record["scope"])
    assert (again.returncode, "0 processed; then" in again.stdout) == (1, True)
    assert halfday(day, "dead-letters", "discard", record["id"], "--why", "made by a test").returncode == 0
    assert halfday(day, "dead-letters").stdout == "no dead letters\n"
    assert halfday(day, "dead-letters", "discard", record["id"], "--why", "again").returncode == 1
    audit = halfday(day, "audit", "--json")
    found = json.loads(audit.stdout)
    assert (audit.returncode, found["ok"], found["parked"], found["findings"]) == (0, True, 0, [])
    assert any("discarded" in line and "made by a test" in line for line in found["lines"])


def _a_lost_tail(day: SmallDay) -> None:
    opened = SessionOpened(terminal=TILL, pool=POOL, device="d", session="s2", seq_no=1, recorded_at=NOW)
    asyncio.run(send(day, opened, opened.model_dump_json().encode(), archived_at=999))
    of(run(day.endpoints, patience=0), "archive", "was sent as orders.stall.v1/0@999, where the log has no record")
    audit = halfday(day, "audit", "--republish")
    assert "orders.stall.v1/0: 1 records from offset 999 on are republished" in audit.stderr
    assert audit.returncode == 0, audit.stdout


def _forged_records(day: SmallDay) -> None:
    order = UUID(day.orders["open"])
    publish(day, OrderDelivered(order=order, job=uuid4()), OrderFailed(order=uuid4(), reason=f"call {PHONE}"))
    verdict = run(day.endpoints, patience=0)
    of(verdict, "archive", "was sent by no outbox")
    of(verdict, "order", "placed > reserved by its history, placed > reserved > delivered by its topic", str(order))
    of(verdict, "person", "the phone of its recipient")
    audit = halfday(day, "audit")
    assert audit.returncode == 1
    assert f"  first  {verdict.findings[0]}" in audit.stdout
