"""Idempotency keys on a real database: one effect a key, whoever comes at the same time."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from pydantic import BaseModel

from services.kit.http.idempotency import (
    MOST_CONFLICTS,
    OTHERS,
    KeyTable,
    Replay,
    Seen,
    content_hash,
    prune,
    replay_or_claim,
)
from services.kit.settings import Settings

pytestmark = pytest.mark.stack
ONE, TWO = b"1" * 32, b"2" * 32
NEW, CONFLICT = Replay(Seen.NEW), Replay(Seen.CONFLICT)
Pool = asyncpg.Pool
MakePool = Callable[[Settings], Awaitable[Any]]


@pytest.fixture
async def pool(database: Callable[[str], Awaitable[str]], make_pool: MakePool) -> Any:
    return await make_pool(Settings(database_url=await database("edge")))


async def ask(
    pool: Any, keys: list[str], hashes: list[bytes], answer: bool = True, owner: str | None = None
) -> list[Replay]:
    """One call in a transaction of its own; what is new is answered with 201 and its key."""
    async with pool.acquire() as conn, conn.transaction():
        verdicts = await replay_or_claim(KeyTable(conn), "orders", keys, hashes, owner)
        new = [key for key, verdict in zip(keys, verdicts, strict=True) if verdict.seen is Seen.NEW]
        await KeyTable(conn).remember("orders", {key: (201, key.encode()) for key in new} if answer else {})
        return verdicts


async def test_the_same_request_again_gets_the_same_answer(pool: Any) -> None:
    assert await ask(pool, ["a", "b"], [ONE, TWO]) == [NEW, NEW]
    assert await ask(pool, ["b", "a"], [TWO, ONE]) == [
        Replay(Seen.REPEAT, 201, b"b"),
        Replay(Seen.REPEAT, 201, b"a"),
    ]


async def test_another_request_under_the_key_is_a_conflict_and_is_kept(pool: Any) -> None:
    await ask(pool, ["a"], [ONE])
    assert await ask(pool, ["a", "b"], [TWO, TWO]) == [CONFLICT, NEW]
    await ask(pool, ["a"], [TWO])
    rows = await pool.fetch("select key, body_hash, seen from idempotency_conflict")
    assert [tuple(row) for row in rows] == [("a", TWO, 2)]


async def test_the_first_ten_contents_under_a_key_are_kept_and_the_others_counted(pool: Any) -> None:
    await ask(pool, ["a"], [ONE])
    for n in range(13):
        assert await ask(pool, ["a", "a"], [b"%032d" % n] * 2) == [CONFLICT] * 2
    rows = await pool.fetch("select body_hash, seen from idempotency_conflict order by body_hash")
    assert [tuple(row) for row in rows] == [(OTHERS, 6), *((b"%032d" % n, 2) for n in range(MOST_CONFLICTS))]


async def test_a_key_of_another_owner_is_refused_without_a_trace(pool: Any) -> None:
    await ask(pool, ["a"], [ONE], owner="staff.1")
    for owner in ("staff.2", None):
        assert await ask(pool, ["a", "b"], [ONE, TWO], owner=owner) == [Replay(Seen.FOREIGN), NEW]
        await pool.execute("delete from idempotency where key = 'b'")
    assert await ask(pool, ["a"], [ONE], owner="staff.1") == [Replay(Seen.REPEAT, 201, b"a")]
    assert await pool.fetchval("select count(*) from idempotency_conflict") == 0


async def test_duplicates_inside_one_call_are_folded(pool: Any) -> None:
    verdicts = await ask(pool, ["a", "b", "a", "a"], [ONE, ONE, ONE, TWO])
    assert verdicts == [NEW, NEW, Replay(Seen.TWIN, twin_of=0), CONFLICT]
    assert await ask(pool, ["a", "a"], [ONE, TWO]) == [Replay(Seen.REPEAT, 201, b"a"), CONFLICT]


async def test_scopes_are_apart(pool: Any) -> None:
    await ask(pool, ["a"], [ONE])
    async with pool.acquire() as conn, conn.transaction():
        assert await replay_or_claim(KeyTable(conn), "lots", ["a"], [TWO], None) == [NEW]


async def test_an_answer_may_be_left_to_the_thing_itself(pool: Any) -> None:
    await ask(pool, ["a"], [ONE], answer=False)
    assert await ask(pool, ["a"], [ONE]) == [Replay(Seen.REPEAT)]


async def test_a_claim_that_was_rolled_back_never_was(pool: Any) -> None:
    async with pool.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        assert await replay_or_claim(KeyTable(conn), "orders", ["a"], [ONE], None) == [NEW]
        await transaction.rollback()
    assert await ask(pool, ["a"], [TWO]) == [NEW]


async def test_of_many_at_once_one_is_new_and_no_two_wait_in_a_circle(pool: Any) -> None:
    keys = [f"k{n}" for n in range(20)]
    calls = [ask(pool, keys if n % 2 else keys[::-1], [ONE] * 20) for n in range(8)]
    verdicts = [verdict for answer in await asyncio.gather(*calls) for verdict in answer]
    assert sum(v.seen is Seen.NEW for v in verdicts) == 20
    assert sum(v.seen is Seen.REPEAT and v.status == 201 for v in verdicts) == 140


async def test_old_keys_are_forgotten_in_small_batches(pool: Any) -> None:
    await ask(pool, ["a", "b", "c", "d"], [ONE] * 4)
    await pool.execute("update idempotency set created_at = now() - interval '16 days' where key < 'd'")
    async with pool.acquire() as conn:
        assert [await prune(conn, limit=2) for _ in range(3)] == [2, 1, 0]
    assert await pool.fetchval("select string_agg(key, ',') from idempotency") == "d"


class Order(BaseModel):
    """A body with things that can be spelled in several ways."""

    id: UUID
    at: datetime
    note: str = ""
    lines: list[dict[str, int]] = []


def test_the_content_is_the_parsed_model_not_its_spelling() -> None:
    utc = datetime(2026, 5, 1, 4, tzinfo=UTC)
    id = UUID("0190f3a2-0000-7000-8000-000000000001")
    one = Order(id=id, at=utc, lines=[{"a": 1, "b": 2}])
    same = Order.model_validate(
        {"lines": [{"b": 2, "a": 1}], "note": "", "at": utc.astimezone(timezone(timedelta(hours=8))), "id": str(id)}
    )
    assert content_hash(one) == content_hash(same)
    assert content_hash(one) != content_hash(one.model_copy(update={"note": "x"}))
