"""Sequenced uploads on a real database."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from services.kit.sequenced import Accepted, Upload, accept, progress
from services.kit.settings import Settings

pytestmark = pytest.mark.stack
AT = datetime(2026, 5, 1, 8, tzinfo=UTC)
S = ("d-1", "s-1")


@pytest.fixture
async def pool(database: Callable[[str], Awaitable[str]], make_pool: Callable[[Settings], Awaitable[Any]]) -> Any:
    return await make_pool(Settings(database_url=await database("edge")))


def upload(seq: int, grams: int = 500, session: str = "s-1") -> Upload:
    return Upload(
        device="d-1",
        session=session,
        seq=seq,
        recorded_at=AT + timedelta(seconds=seq),
        kind="sale",
        body={"item": "小白菜", "grams": grams},
        body_hash=f"h{seq}",
    )


async def send(pool: Any, uploads: list[Upload], owner: str = "t-1") -> Accepted:
    async with pool.acquire() as conn, conn.transaction():
        return await accept(conn, owner, uploads)


def seqs(uploads: tuple[Upload, ...]) -> list[int]:
    return [one.seq for one in uploads]


async def test_numbers_prove_completeness_and_gaps_close(pool: Any) -> None:
    first = await send(pool, [upload(1), upload(2), upload(5), upload(9)])
    assert (seqs(first.fresh), first.received_through[S], first.gaps[S]) == ([1, 2, 5, 9], 2, [(3, 4), (6, 8)])
    second = await send(pool, [upload(4), upload(3)])
    assert (seqs(second.fresh), second.received_through[S], second.gaps[S]) == ([3, 4], 5, [(6, 8)])
    third = await send(pool, [upload(n) for n in (8, 7, 6, 5)])
    assert (seqs(third.fresh), seqs(third.repeated)) == ([6, 7, 8], [5])
    assert (third.received_through[S], third.gaps[S]) == (9, [])
    async with pool.acquire() as conn:
        assert await progress(conn, "t-1") == {S: (9, [])}


async def test_altered_content_is_kept_once_and_has_no_effect(pool: Any) -> None:
    await send(pool, [upload(1, 500)])
    for _ in range(2):
        again = await send(pool, [upload(1, 700), upload(2)])
        assert seqs(again.conflicts) == [1]
    assert await pool.fetchval("select body->>'grams' from sequenced where seq = 1") == "500"
    kept = await pool.fetch("select seq, body->>'grams' as grams from sequenced_conflict")
    assert [tuple(row) for row in kept] == [(1, "700")]


async def test_sessions_and_owners_are_apart(pool: Any) -> None:
    await send(pool, [upload(1)])
    other = await send(pool, [upload(1), upload(2, session="s-2")], owner="t-2")
    assert seqs(other.fresh) == [1, 2]
    assert other.received_through == {S: 1, ("d-1", "s-2"): 0}
    assert other.gaps[("d-1", "s-2")] == [(1, 1)]


async def test_a_day_offline_arrives_shuffled_split_repeated_and_from_two_tabs(pool: Any) -> None:
    day = [upload(n, grams=n) for n in range(1, 301)]
    stream = day * 3
    random.Random(7).shuffle(stream)
    calls = [stream[n : n + 50] for n in range(0, len(stream), 50)]
    fresh: list[int] = []
    for pair in zip(calls[::2], calls[1::2], strict=True):
        for done in await asyncio.gather(*(send(pool, call) for call in pair)):
            assert not done.conflicts
            fresh += seqs(done.fresh)
    assert sorted(fresh) == list(range(1, 301))
    async with pool.acquire() as conn:
        assert await progress(conn, "t-1") == {S: (300, [])}
    assert await pool.fetchval("select count(*) from sequenced where body->>'item' = '小白菜'") == 300


async def test_nothing_uploaded_is_nothing_done(pool: Any) -> None:
    done = await send(pool, [])
    assert (done.fresh, done.received_through, done.gaps) == ((), {}, {})


async def test_what_was_rolled_back_comes_again_as_fresh(pool: Any) -> None:
    async with pool.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        assert seqs((await accept(conn, "t-1", [upload(1)])).fresh) == [1]
        await transaction.rollback()
    assert seqs((await send(pool, [upload(1)])).fresh) == [1]


async def test_a_constant_number_of_statements(pool: Any) -> None:
    async def statements(uploads: list[Upload]) -> int:
        count: list[object] = []
        async with pool.acquire() as conn, conn.transaction():
            with conn.query_logger(count.append):
                await accept(conn, "t-1", uploads)
        return len(count)

    await statements([upload(1)])  # the driver looks up types at the first use of a connection
    assert await statements([upload(2)]) == await statements([upload(n) for n in range(3, 200)]) == 5


@pytest.mark.parametrize(
    "wrong",
    [{"seq": 0}, {"body": {"text": "\x00"}}, {"body": {"text": "\ud800"}}, {"device": "a\x00"}, {"extra": 1}],
    ids=["seq", "nul", "surrogate", "device", "extra"],
)
def test_what_cannot_be_kept_is_refused_at_the_door(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Upload.model_validate(upload(1).model_dump() | wrong)
