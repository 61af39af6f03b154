"""Outbox: events are written with their effect, numbered without holes, and archived once acknowledged."""

import asyncio
from datetime import date

import pytest

from services.kit.database import connect
from services.kit.errors import TooLarge
from services.kit.transaction import outbox
from tests.integration.probe.service import IN, OUT, Add, Echo
from tests.integration.probe.world import World, header, lock_accounts, record
from tests.stack import eventually

pytestmark = pytest.mark.stack


async def test_an_event_is_there_exactly_if_its_transaction_is(world: World):
    await world.add(Add(account="a", n=1))

    async def regret() -> None:
        async with world.unit() as uow:
            uow.emit(Add(account="a", n=2))
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        await regret()
    assert [row["subject"] for row in await world.pool.fetch("select subject from outbox")] == ["a"]
    assert await world.count("outbox_seq", "seq = 1") == 1


async def test_numbers_per_subject_and_topic_have_no_holes_under_concurrency(world: World):
    async def write(worker: int) -> None:
        for n in range(20):
            async with world.unit() as uow:
                await lock_accounts(uow, ["a", "b"])
                uow.emit(Add(account="a", n=n))
                uow.emit(Echo(account="a", n=n))
                uow.emit(Add(account="b", n=n))
                if worker == 0:
                    uow.emit(Add(account="b", n=n))

    await asyncio.gather(*(write(worker) for worker in range(4)))
    for topic, subject, count in ((IN, "a", 80), (OUT, "a", 80), (IN, "b", 100)):
        rows = await world.pool.fetch(
            "select seq, headers->>'ce_seq' as said from outbox where topic = $1 and subject = $2 order by id",
            topic,
            subject,
        )
        assert [row["seq"] for row in rows] == list(range(1, count + 1))
        assert [int(row["said"]) for row in rows] == list(range(1, count + 1))


async def test_a_too_large_event_is_refused_where_it_is_made(world: World):
    with pytest.raises(TooLarge, match="limit"):
        await world.add(Add(account="a", n=1, pad="x" * 1_000_000))
    assert await world.count("outbox") == 0
    assert await world.count("account") == 0


async def test_two_events_of_one_cause_need_a_part(world: World):
    async with world.unit() as uow:
        delivery = world.processor().source.read(record(Add(account="a", n=1), 0))
        assert delivery
        uow.cause = delivery.message
        first = uow.emit(Echo(account="a", n=1), part="1")
        assert first != uow.emit(Echo(account="a", n=2), part="2")
        with pytest.raises(ValueError, match="part"):
            uow.emit(Echo(account="a", n=3), part="1")


async def test_acknowledged_rows_move_to_the_archive_with_their_place_in_the_log(world: World):
    async with world.relay():
        await world.add(*(Add(account=f"a{n}", n=1) for n in range(30)))
        await eventually(lambda: _empty(world))
    rows = await world.pool.fetch('select event_id, partition, "offset" from outbox_sent')
    kept = {(str(row["event_id"]), row["partition"], row["offset"]) for row in rows}
    log = await asyncio.to_thread(world.log, IN)
    assert kept == {(header(m, "ce_id"), m.partition(), m.offset()) for m in log}
    assert len(kept) == 30


async def _empty(world: World) -> bool:
    return await world.count("outbox") == 0


async def test_a_lost_tail_is_published_again_from_the_archive(world: World):
    async with world.relay():
        await world.add(*(Add(account="a", n=n) for n in range(1, 11)))
        await eventually(lambda: _empty(world))
        row = await world.pool.fetchrow('select partition, min("offset") + 4 as start from outbox_sent group by 1')
        assert row
        async with world.pool.acquire() as conn:
            assert await outbox.republish(conn, IN, row["partition"], row["start"]) == 6  # type: ignore[arg-type]
        world.wake.set()
        await eventually(lambda: _empty(world))
    log = await asyncio.to_thread(world.log, IN)
    assert [header(m, "ce_seq") for m in log] == [*map(str, range(1, 11)), *map(str, range(5, 11))]
    assert await world.count("outbox_sent") == 10


async def test_archive_days_are_made_ahead_and_dropped_after_sixty(world: World):
    async with world.pool.acquire() as conn:
        await outbox.prepare_archive(conn, date(2026, 1, 10))  # type: ignore[arg-type]
        await outbox.prepare_archive(conn, date(2026, 1, 10))  # type: ignore[arg-type]
        await outbox.prepare_archive(conn, date(2026, 3, 12))  # type: ignore[arg-type]
    rows = await world.pool.fetch(
        "select inhrelid::regclass::text from pg_inherits where inhparent = 'outbox_sent'::regclass"
    )
    assert sorted(row[0][-4:] for row in rows) == ["0111", "0112", "0311", "0312", "0313", "0314"]


async def test_the_waker_reaches_a_relay_in_another_process(world: World):
    waker = outbox.Waker(world.settings.database_url)
    serving = asyncio.create_task(waker.run())
    heard: asyncio.Queue[str] = asyncio.Queue()
    conn = await connect(world.settings)
    await conn.add_listener(outbox.CHANNEL, lambda *_: heard.put_nowait("awake"))
    for _ in range(100):
        waker()
    assert await asyncio.wait_for(heard.get(), 60) == "awake"
    serving.cancel()
    conn.terminate()
    assert heard.qsize() <= 1
