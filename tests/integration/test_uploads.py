"""Sequenced uploads on a real database."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from services.kit.clock import ManualClock
from services.kit.http.problems import Problem
from services.kit.process import gauges
from services.kit.settings import Settings
from services.kit.telemetry.metrics import GAUGES_FAILED, MISSING, OVERDUE
from services.kit.transaction.ports import Ports
from services.kit.transaction.unit_of_work import UnitOfWork, begin
from services.kit.uploads import sessions
from services.kit.uploads.ingestion import AHEAD, GAPS, OPEN_SESSIONS, Accepted, accept
from services.kit.uploads.upload import Upload, UploadIn, read

pytestmark = pytest.mark.stack
AT = datetime(2026, 5, 1, 8, tzinfo=UTC)
S = ("d-1", "s-1")


@pytest.fixture
async def pool(database: Callable[[str], Awaitable[str]], make_pool: Callable[[Settings], Awaitable[Any]]) -> Any:
    return await make_pool(Settings(database_url=await database("edge")))


def upload(seq: int, grams: Any = 500, session: str = "s-1", **more: Any) -> Upload:
    sent = {
        "session": session,
        "seq": seq,
        "recorded_at": (AT + timedelta(seconds=seq)).isoformat(),
        "kind": "sale",
        "body": {"item": "小白菜", "grams": grams},
    }
    return read(UploadIn.model_validate(sent | more), "terminal/t-1", AT, "d-1")


async def send(pool: Any, uploads: list[Upload], owner: str = "terminal/t-1", now: datetime = AT) -> Accepted:
    async with begin(pool, Ports(ManualClock(now)), consumer="edge.api") as uow:
        return await accept(uow, owner, uploads)


def seqs(uploads: list[Upload]) -> list[int]:
    return [one.seq for one in uploads]


def words(accepted: Accepted) -> list[str]:
    return [str(answer) for answer in accepted.answers]


def state(accepted: Accepted, session: tuple[str, str] = S) -> tuple[int, tuple[tuple[int, int], ...]]:
    found = accepted.sessions[session]
    return found.through, found.gaps


async def test_numbers_prove_completeness_and_gaps_close(pool: Any) -> None:
    first = await send(pool, [upload(1), upload(2), upload(5), upload(9)])
    assert (seqs(first.fresh), state(first)) == ([1, 2, 5, 9], (2, ((3, 4), (6, 8))))
    second = await send(pool, [upload(4), upload(3)])
    assert (seqs(second.fresh), state(second)) == ([3, 4], (5, ((6, 8),)))
    third = await send(pool, [upload(n) for n in (8, 7, 6, 5)])
    assert (seqs(third.fresh), words(third)[-1], state(third)) == ([6, 7, 8], "repeated", (9, ()))
    async with pool.acquire() as conn:
        assert (await sessions.SessionTable(conn).progress("terminal/t-1"))[S][:3] == (9, 9, ())


async def test_altered_content_is_kept_once_and_has_no_effect(pool: Any) -> None:
    await send(pool, [upload(1, 500)])
    for news in ([1], []):
        again = await send(pool, [upload(1, 700), upload(2)])
        assert (words(again)[0], seqs(list(again.news))) == ("conflict", news)
    assert await pool.fetchval("select body->>'grams' from sequenced where seq = 1") == "500"
    kept = await pool.fetch("select seq, body->>'grams' as grams from sequenced_conflict")
    assert [tuple(row) for row in kept] == [(1, "700")]


async def test_a_conflict_that_cant_be_read_is_kept_as_given(pool: Any) -> None:
    await send(pool, [upload(1)])
    assert words(await send(pool, [upload(1, 10**30)])) == ["conflict"]
    assert '"grams": 1' + "0" * 30 in await pool.fetchval("select given from sequenced_conflict")


async def test_sessions_and_owners_are_apart(pool: Any) -> None:
    await send(pool, [upload(1)])
    other = await send(pool, [upload(1), upload(2, session="s-2")], owner="terminal/t-2")
    assert seqs(other.fresh) == [1, 2]
    assert (state(other), state(other, ("d-1", "s-2"))) == ((1, ()), (0, ((1, 1),)))


async def test_a_day_offline_arrives_shuffled_split_repeated_and_from_two_tabs(pool: Any) -> None:
    day = [upload(n, grams=n) for n in range(1, 301)]
    stream = day * 3
    random.Random(7).shuffle(stream)
    calls = [stream[n : n + 50] for n in range(0, len(stream), 50)]
    fresh: list[int] = []
    for pair in zip(calls[::2], calls[1::2], strict=True):
        for done in await asyncio.gather(*(send(pool, call) for call in pair)):
            assert "conflict" not in words(done)
            fresh += seqs(done.fresh)
    assert sorted(fresh) == list(range(1, 301))
    async with pool.acquire() as conn:
        assert (await sessions.SessionTable(conn).progress("terminal/t-1"))[S][:3] == (300, 300, ())
    assert await pool.fetchval("select count(*) from sequenced where body->>'item' = '小白菜'") == 300


async def test_nothing_uploaded_is_nothing_done(pool: Any) -> None:
    done = await send(pool, [])
    assert (done.fresh, done.sessions) == ([], {})


async def test_what_was_rolled_back_comes_again_as_fresh(pool: Any) -> None:
    async with pool.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        done = await accept(UnitOfWork(conn, Ports(ManualClock(AT)), "edge.api"), "terminal/t-1", [upload(1)])
        assert seqs(done.fresh) == [1]
        await transaction.rollback()
    assert seqs((await send(pool, [upload(1)])).fresh) == [1]


async def test_a_constant_number_of_statements(pool: Any) -> None:
    async def statements(uploads: list[Upload]) -> int:
        count: list[object] = []
        async with begin(pool, Ports(ManualClock(AT)), consumer="edge.api") as uow:
            with uow.conn.query_logger(count.append):  # type: ignore[union-attr]
                await accept(uow, "terminal/t-1", uploads)
        return len(count)

    bad = [upload(n, 10**30) for n in range(200, 300)]
    await statements([upload(1), *bad[:1]])  # the driver looks up types at the first use of a connection
    assert await statements([upload(2)]) == await statements([upload(n) for n in range(3, 200)]) == 5
    assert await statements(bad[1:2]) == await statements(bad[2:]) == 6


@pytest.mark.parametrize(
    "wrong",
    [{"seq": 0}, {"seq": True}, {"session": "a\x00"}, {"session": "a\ud800"}, {"seq": 2**53}],
    ids=["zero", "bool", "nul", "surrogate", "large"],
)
def test_only_a_number_that_cant_be_read_is_refused_at_the_door(wrong: dict[str, Any]) -> None:
    sent = {"session": "s-1", "seq": 1, "recorded_at": "2026-05-01T08:00:00Z", "kind": "sale", "body": {}}
    with pytest.raises(ValidationError):
        UploadIn.model_validate(sent | wrong)


async def test_a_number_far_beyond_the_last_is_refused_alone(pool: Any) -> None:
    done = await send(pool, [upload(AHEAD + 1), upload(1), upload(AHEAD)])
    assert words(done) == ["refused", "applied", "applied"]
    assert "send the numbers between first" in done.device_answers({})[0].reason
    assert words(await send(pool, [upload(AHEAD + 1)])) == ["applied"]


async def test_open_sessions_and_gaps_have_a_limit(pool: Any) -> None:
    first = [upload(1, session=f"s-{n}") for n in range(OPEN_SESSIONS)]
    await send(pool, first)
    with pytest.raises(Problem) as refused:
        await send(pool, [upload(1, session="more")])
    assert (refused.value.status, refused.value.code) == (409, "too-many-sessions")
    assert words(await send(pool, [upload(2, session="s-0")])) == ["applied"], "those that are open go on"
    assert words(await send(pool, [upload(1, session="more")], now=AT + timedelta(hours=25))) == ["applied"]
    for n in range(GAPS // 200):
        await send(pool, [upload(2 * m + 3, session="more") for m in range(200 * n, 200 * n + 200)])
    with pytest.raises(Problem) as refused:
        await send(pool, [upload(9_999, session="more")])
    assert (refused.value.status, refused.value.code) == (409, "too-many-gaps")
    assert words(await send(pool, [upload(2, session="more")])) == ["applied"], "a gap may be closed"


async def test_a_chain_that_breaks_is_flagged_whichever_link_came_first(pool: Any) -> None:
    one = upload(1)
    two = upload(2, prev_hash=one.link)
    four = upload(4, prev_hash=one.link)
    done = await send(pool, [four, two, one])
    assert [answer.flags for answer in done.device_answers({})] == [[], [], []]
    three = upload(3, prev_hash=two.link)
    done = await send(pool, [three, four])
    assert [answer.flags for answer in done.device_answers({})] == [[], ["chain-broken"]]
    fork = await send(pool, [upload(3, grams=1, prev_hash=two.link), upload(5, prev_hash=three.link)])
    assert [(answer.answer, answer.flags) for answer in fork.device_answers({})] == [
        ("conflict", []),
        ("applied", ["chain-broken"]),
    ]
    flagged = await sessions.flagged(pool, "chain-broken", "terminal/t-1", 0, 10)
    assert [row["seq"] for row in flagged] == [4, 5]
    assert await pool.fetchval("select count(*) from sequenced") == 5, "a broken chain stops no fact"


async def test_one_value_that_cant_be_measured_blinds_no_other(pool: Any) -> None:
    await send(pool, [upload(7)])
    # more than 64 bits can hold, as 1 025 sessions of one upload numbered 2^53 - 1 once had
    await pool.execute("update sequenced_session set missing = 2::numeric ^ 62")
    await pool.execute(
        "insert into sequenced_session select owner, device, s, 0, last_seq, gaps, missing "
        "from sequenced_session, unnest(array['a', 'b', 'c']) as s"
    )
    assert await sessions.missing(pool) == {"terminal/t-1": 2**31}
    await pool.execute("drop table deadline")

    async def also(_: Any) -> None:
        MISSING.labels("also").set(1)

    context: Any = SimpleNamespace(pool=pool, clock=ManualClock(AT))
    before, late = GAUGES_FAILED._value.get(), OVERDUE._value.get()
    await gauges.measure(context, (also,))
    assert GAUGES_FAILED._value.get() == before + 1
    assert (MISSING.labels("terminal/t-1")._value.get(), MISSING.labels("also")._value.get()) == (2**31, 1)
    assert OVERDUE._value.get() == late
