"""Contract of the kit's tables, in memory and on PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from contracts.values import Principal
from services.kit.consumer.dead_letters import DeadLetterTable
from services.kit.consumer.delivery import Delivery
from services.kit.http.idempotency import MOST_CONFLICTS, KeyTable
from services.kit.transaction.access_log import AccessFilter, AccessLogTable, Shown
from services.kit.transaction.deadlines import Deadline, DeadlineTable
from services.kit.transaction.inbox import InboxTable
from services.kit.transaction.message import Record
from services.kit.transaction.outbox import OutboxTable, Outgoing
from services.kit.uploads.kept import KeptTable
from services.kit.uploads.sessions import Known, Progress, SessionTable
from services.kit.uploads.upload import Upload
from tests.contract.stores.databases import StoreDatabase

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def uid(n: int) -> UUID:
    return UUID(int=n)


@pytest.fixture
def database(kit_database: StoreDatabase) -> StoreDatabase:
    return kit_database


async def test_an_event_is_claimed_once_by_each_consumer(database: StoreDatabase):
    async with database.transaction() as store:
        assert await store(InboxTable).claim("a", [uid(2), uid(1), uid(2)]) == {uid(1), uid(2)}
    async with database.transaction() as store:
        assert await store(InboxTable).claim("a", [uid(3), uid(2)]) == {uid(3)}
        assert await store(InboxTable).claim("b", [uid(2)]) == {uid(2)}


async def test_an_event_that_another_transaction_claims_is_awaited(database: StoreDatabase):
    async def claim() -> set[UUID]:
        async with database.transaction() as store:
            return await store(InboxTable).claim("a", [uid(1), uid(2)])

    async with database.transaction() as store:
        await store(InboxTable).claim("a", [uid(1)])
        other = await database.waits(claim())
    assert await other == {uid(2)}


def queued(topic: str, subject: str, n: int) -> Outgoing:
    return Outgoing(topic, f"key-{subject}", subject, uid(n), {"ce_id": str(uid(n))}, b"%d" % n)


async def test_rows_of_the_outbox_are_numbered_by_topic_and_subject_and_leave_when_they_are_archived(
    database: StoreDatabase,
):
    first = [queued("t", "a", 1), queued("t", "b", 2), queued("t", "a", 3), queued("u", "a", 4)]
    async with database.transaction() as store:
        await store(OutboxTable).write([])
        await store(OutboxTable).write(first)
    async with database.transaction() as store:
        await store(OutboxTable).write([queued("t", "a", 5)])
    found = await database.reader(OutboxTable).page(10)
    assert [(row.event_id, row.headers["ce_seq"]) for row in found] == [
        (uid(1), "1"),
        (uid(2), "1"),
        (uid(3), "2"),
        (uid(4), "1"),
        (uid(5), "3"),
    ]
    assert [row.id for row in found] == sorted(row.id for row in found)
    assert found[1][1:4] == ("t", "key-b", "b")
    assert found[1].payload == b"2"
    assert [row.event_id for row in await database.reader(OutboxTable).page(2)] == [uid(1), uid(2)]


async def test_numbers_of_a_subject_are_not_given_twice(database: StoreDatabase):
    async def write(n: int) -> None:
        async with database.transaction() as store:
            await store(OutboxTable).write([queued("t", "a", n)])

    async with database.transaction() as store:
        await store(OutboxTable).write([queued("t", "a", 1)])
        other = await database.waits(write(2))
    await other
    found = await database.reader(OutboxTable).page(10)
    assert [row.headers["ce_seq"] for row in found] == ["1", "2"]


async def set_deadlines(database: StoreDatabase, *found: Deadline, removed: tuple[tuple[str, str], ...] = ()) -> None:
    changes: dict[tuple[str, str], Deadline | None] = {(d.kind, d.subject): d for d in found}
    async with database.transaction() as store:
        await store(DeadlineTable).save(changes | dict.fromkeys(removed))


async def overdue(database: StoreDatabase, business: datetime, real: datetime, limit: int = 10) -> list[Deadline]:
    return await database.reader(DeadlineTable).overdue(business, real, limit)


async def test_deadlines_are_due_on_their_own_clock_the_oldest_first(database: StoreDatabase):
    late, early = Deadline("hold", "a", NOON + HOUR, 1, False), Deadline("hold", "b", NOON, 2, False)
    real = Deadline("lease", "a", NOON, 3, True)
    await set_deadlines(database, late, early, real)
    assert await overdue(database, NOON - HOUR, NOON - HOUR) == []
    found = await overdue(database, NOON + HOUR, NOON)
    assert [replace(one, token=0) for one in found] == [early, late, real]
    assert [one.subject for one in await overdue(database, NOON + HOUR, NOON, 1)] == ["b", "a"]


async def test_a_deadline_that_is_set_again_or_removed_cannot_be_claimed_under_its_old_token(database: StoreDatabase):
    hold = Deadline("hold", "a", NOON, 1, False)
    await set_deadlines(database, hold, replace(hold, subject="b"), replace(hold, subject="c"))
    tokens = {one.subject: one.token for one in await overdue(database, NOON, NOON)}
    await set_deadlines(database, replace(hold, version=2), removed=(("hold", "b"), ("hold", "none")))
    async with database.transaction() as store:
        claimed = await store(DeadlineTable).claim(list(tokens.values()))
    assert claimed == {tokens["c"]}
    (left,) = await overdue(database, NOON, NOON)
    assert (left.subject, left.version) == ("a", 2)
    assert left.token > max(tokens.values())


def delivery(n: int, scope: str, fault: str | None = "bad") -> Delivery:
    record = Record("t", 0, n, b"k", b"{}", {"ce_type": "x"})
    return Delivery(record, uid(n), scope, frozenset({scope}), fault=fault, attempts=1)


async def test_a_scope_is_blocked_by_its_first_dead_letter(database: StoreDatabase):
    async with database.transaction() as store:
        letters = store(DeadLetterTable)
        assert await letters.blocked("a", ["s1", "s2"]) == set()
        stored = [(delivery(1, "s1"), "s1"), (delivery(2, "s1", None), "s1"), (delivery(3, "s2"), "s2")]
        assert await letters.store("a", stored) == {"s1", "s2"}
    async with database.transaction() as store:
        letters = store(DeadLetterTable)
        assert await letters.store("a", [(delivery(4, "s1"), "s1"), (delivery(5, "s3"), "s3")]) == {"s3"}
        assert await letters.blocked("a", ["s1", "s2", "s4"]) == {"s1", "s2"}
        assert await letters.blocked("b", ["s1"]) == set()


async def test_blocked_scopes_are_locked(database: StoreDatabase):
    async def look() -> set[str]:
        async with database.transaction() as store:
            return await store(DeadLetterTable).blocked("a", ["s1"])

    async with database.transaction() as store:
        await store(DeadLetterTable).store("a", [(delivery(1, "s1"), "s1")])
    async with database.transaction() as store:
        assert await store(DeadLetterTable).blocked("a", ["s1"]) == {"s1"}
        other = await database.waits(look())
    assert await other == {"s1"}


def upload(seq: int, digest: bytes = b"d" * 32, **more: Any) -> Upload:
    given: dict[str, Any] = {"kind": "sale", "body": {"n": seq}, "given": "{}", "link": f"l{seq}"}
    return Upload("dev", "s1", seq, NOON, digest=digest, **given | more)


async def test_uploads_of_a_session_are_stored_once_with_their_progress(database: StoreDatabase):
    session, key = ("dev", "s1"), ("dev", "s1", 1)
    async with database.transaction() as store:
        sessions = store(SessionTable)
        await sessions.lock("till/1", [session], NOON)
        assert await sessions.progress("till/1") == {session: Progress(0, 0, (), NOON)}
        assert await sessions.progress("till/2") == {}
        await sessions.insert("till/1", [upload(1), upload(3, fault="no item")], {key})
        await sessions.move("till/1", {session: Progress(1, 3, ((2, 2),), NOON + HOUR)}, [])
    async with database.transaction() as store:
        sessions = store(SessionTable)
        assert await sessions.progress("till/1") == {session: Progress(1, 3, ((2, 2),), NOON + HOUR)}
        assert await sessions.known("till/1", [upload(2)]) == {
            key: Known(b"d" * 32, "l1", None, True, None),
            ("dev", "s1", 3): Known(b"d" * 32, "l3", None, False, "no item"),
        }
        await sessions.settle("till/1", upload(3), "")
        await sessions.move("till/1", {}, [("dev", "s1", 3)])
        assert (await sessions.known("till/1", [upload(3)]))["dev", "s1", 3][3:5] == (True, None)
    with pytest.raises(asyncpg.UniqueViolationError):
        async with database.transaction() as store:
            await store(SessionTable).insert("till/1", [upload(1)], ())


async def test_signed_uploads_know_their_successors_and_a_quarantined_one_is_settled(database: StoreDatabase):
    session, held, own = ("dev", "s1"), ("dev", "s1", 2), ("dev", "s1", 1)
    async with database.transaction() as store:
        sessions = store(SessionTable)
        await sessions.lock("till/1", [session], NOON)
        signed = {"signed_by": "k1", "prev_hash": "l0"}
        rows = [upload(1, **signed), upload(2, quarantine="revoked", **signed), upload(3, prev_hash="l0")]
        await sessions.insert("till/1", rows, ())
        await sessions.move("till/1", {session: Progress(3, 3, (), NOON)}, [])
    async with database.transaction() as store:
        sessions = store(SessionTable)
        assert await sessions.successors("till/1", ["l0", "l1"]) == [(own, "l0"), (held, "l0")]
        assert await sessions.successors("till/2", ["l0"]) == []
        await sessions.mark_forked("till/1", [own, held])
        states = {key: one[4:] for key, one in (await sessions.known("till/1", rows)).items()}
        assert states == {
            own: (None, False, True),
            held: (None, True, True),
            ("dev", "s1", 3): (None, False, False),
        }
        await sessions.settle("till/1", upload(2), "")
        assert (await sessions.known("till/1", [upload(2)]))[held][4:] == (None, False, True)


async def test_another_content_of_a_number_is_stored_once(database: StoreDatabase):
    other, third = upload(1, b"e" * 32), upload(1, b"f" * 32)
    async with database.transaction() as store:
        sessions = store(SessionTable)
        await sessions.lock("till/1", [("dev", "s1")], NOON)
        assert await sessions.insert_conflicts("till/1", [other, other]) == [other]
        assert await sessions.insert_conflicts("till/1", [other, third]) == [third]
        assert await sessions.insert_conflicts("till/1", []) == []
        more = [upload(1, b"%032d" % n) for n in range(MOST_CONFLICTS)]
        assert await sessions.insert_conflicts("till/1", [third, *more]) == more[:-2], "ten of a number"
        assert await sessions.insert_conflicts("till/1", [more[-1], other, upload(2, b"e" * 32)]) == [
            upload(2, b"e" * 32)
        ]
        signed = upload(1, b"s" * 32, signed_by="key")
        assert await sessions.insert_conflicts("till/1", [more[-1], signed]) == [signed]


async def test_a_session_is_locked(database: StoreDatabase):
    async def lock() -> None:
        async with database.transaction() as store:
            await store(SessionTable).lock("till/1", [("dev", "s1")], NOON)

    await lock()
    async with database.transaction() as store:
        await store(SessionTable).lock("till/1", [("dev", "s1")], NOON)
        other = await database.waits(lock())
    await other


async def test_a_kept_upload_waits_under_its_scope_until_it_is_removed(database: StoreDatabase):
    async with database.transaction() as store:
        row = ("till/1/dev/s1/1", uid(1), 1, '{"owner": "till/1"}', b"{}", "no item")
        await store(KeptTable).insert("orders.uploads", [row])
    async with database.transaction() as store:
        assert await store(KeptTable).waiting("orders.uploads", "till/1/dev/s1/2") is None
        found = await store(KeptTable).waiting("orders.uploads", "till/1/dev/s1/1")
        assert found
        assert found[1:] == ({"owner": "till/1"}, b"{}")
        letters = store(DeadLetterTable)
        await letters.remove([found[0]])
        await letters.unblock("orders.uploads", "till/1/dev/s1/1")
    async with database.transaction() as store:
        assert await store(KeptTable).waiting("orders.uploads", "till/1/dev/s1/1") is None


async def test_a_key_is_claimed_once_and_remembers_its_answer(database: StoreDatabase):
    async with database.transaction() as store:
        keys = store(KeyTable)
        assert await keys.claim("lots", {"b": b"2", "a": b"1"}, "staff.1") == {"a", "b"}
        await keys.remember("lots", {"a": (201, b"{}")})
    async with database.transaction() as store:
        keys = store(KeyTable)
        assert await keys.claim("lots", {"a": b"1", "c": b"3"}, None) == {"c"}
        assert await keys.claim("sales", {"a": b"1"}, None) == {"a"}
        assert (await keys.known("lots", ["a"]))["a"] | {"key": "a"} == {
            "key": "a",
            "body_hash": b"1",
            "status": 201,
            "response": b"{}",
            "owner": "staff.1",
        }
        await keys.keep("lots", [("a", b"9"), ("a", b"9")])


async def test_a_key_that_another_transaction_claims_is_awaited(database: StoreDatabase):
    async def claim() -> set[str]:
        async with database.transaction() as store:
            return await store(KeyTable).claim("lots", {"a": b"1"}, None)

    async with database.transaction() as store:
        await store(KeyTable).claim("lots", {"a": b"1"}, None)
        other = await database.waits(claim())
    assert await other == set()


async def test_the_access_log_has_a_row_for_each_record_and_can_leave_out_what_was_read_within_the_hour(
    database: StoreDatabase,
):
    anna, bo = (Principal(f"staff.{name}", "staff", frozenset()) for name in ("anna", "bo"))
    shown = {"order/1": [Shown.PERSON, Shown.CODE], "order/2": [Shown.CODE]}
    async with database.transaction() as store:
        log = store(AccessLogTable)
        await log.append(anna, "read order", shown, "r1")
        await log.append(anna, "read order", {"order/1": [Shown.CODE], "order/2": [Shown.PERSON]}, "r2", hourly=True)
        await log.append(bo, "read order", {"order/1": [Shown.CODE]}, "r3", hourly=True)
        await log.append(bo, "cut", {"wave/noon": ()}, None)

    async def listed(limit: int = 10, after: int = 0, **wanted: Any) -> list[Any]:
        found = await database.reader(AccessLogTable).listing(AccessFilter("main", **wanted), after, limit)
        return [(row.subject, row.action, row.record, row.fields, row.request) for row in found]

    everything = await listed()
    assert everything == [
        ("staff.anna", "read order", "order/1", ["code", "person"], "r1"),
        ("staff.anna", "read order", "order/2", ["code"], "r1"),
        ("staff.anna", "read order", "order/2", ["person"], "r2"),
        ("staff.bo", "read order", "order/1", ["code"], "r3"),
        ("staff.bo", "cut", "wave/noon", [], None),
    ]
    assert await listed(record="order/2") == everything[1:3]
    assert await listed(subject="staff.bo") == everything[3:]
    now = datetime.now(UTC)
    assert await listed(since=now - HOUR, until=now + HOUR) == everything
    assert await listed(since=now + HOUR) == await listed(until=now - HOUR) == []
    last = (await database.reader(AccessLogTable).listing(AccessFilter("main"), 0, 2))[-1].id
    assert await listed(2) + await listed(after=last) == everything
    assert await database.reader(AccessLogTable).listing(AccessFilter("other"), 0, 9) == []
