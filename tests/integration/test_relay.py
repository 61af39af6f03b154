"""Relay: everything committed is published, first occurrences in order per key, through crashes and bad rows."""

import asyncio
import os
import random
import signal

import pytest
from aiokafka.partitioner import DefaultPartitioner

from services.kit.faults import armed
from services.kit.relay import relay
from services.kit.relay.publisher import _hash
from services.kit.relay.relay import Relay
from services.kit.transaction import outbox
from services.kit.transaction.outbox import Outgoing
from tests.integration.probe.service import IN, OUT, Add, Echo
from tests.integration.probe.world import World, broken, first_occurrences, header, lock_accounts
from tests.stack import eventually

pytestmark = pytest.mark.stack
ACCOUNTS = [f"account-{n}" for n in range(12)]


async def empty(world: World) -> bool:
    return await world.count("outbox") == 0


async def write_all(world: World, writers: int, go_on) -> dict[str, int]:
    """Writers that share accounts, in transactions of several events, for as long as `go_on(round)`; how many each
    account got.
    """
    counts = dict.fromkeys(ACCOUNTS, 0)

    async def write(seed: int) -> None:
        chance, done = random.Random(seed), 0
        while go_on(done):
            done += 1
            names = sorted(chance.sample(ACCOUNTS, 3))
            async with world.unit() as uow:
                await lock_accounts(uow, names)
                for name in names:
                    counts[name] += 1
                    uow.emit(Add(account=name, n=counts[name]))
            await asyncio.sleep(chance.random() * 0.02)

    await asyncio.gather(*(write(seed) for seed in range(writers)))
    return counts


async def test_eight_writers_and_a_relay_killed_again_and_again(world: World):
    points = ["relay.after_claim", "relay.mid_batch", "relay.after_send", "relay.before_mark"]
    kills = 0

    async def kill() -> None:
        nonlocal kills
        for n in range(10):
            process = await world.spawn("relay", fault=f"{points[n % 4]}:kill@{random.randint(2, 6)}")
            assert await asyncio.wait_for(process.wait(), 20) == -signal.SIGKILL
            kills += 1
        await world.spawn("relay")

    killing = asyncio.create_task(kill())
    counts = await write_all(world, 8, lambda _: not killing.done())
    await killing
    await eventually(lambda: empty(world), 30, "the outbox is empty")
    log = await asyncio.to_thread(world.log, IN)
    assert kills == 10
    assert broken(first_occurrences(log), counts) == []
    assert len(log) > sum(counts.values()) > 1000, "inconclusive: no kill led to a repeat"


async def test_two_relays_never_work_beside_each_other(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(relay, "PAGE", 5)  # so that pages are full, and the next one is read while one is sent
    async with world.relay(), world.relay():
        counts = await write_all(world, 4, lambda done: done < 30)
        await eventually(lambda: empty(world))
    log = await asyncio.to_thread(world.log, IN)
    assert broken(first_occurrences(log), counts) == []
    assert len(log) == sum(counts.values())


async def test_what_is_read_ahead_of_a_page_on_its_way_leaves_no_earlier_row_of_its_key_behind(world: World):
    async with world.pool.acquire() as conn:
        async with world.unit() as slow:
            slow.emit(Add(account="late", n=1))
            await slow.flush()
            slow._rows.clear()
            async with world.unit() as quick:
                for n in (1, 2, 3):
                    quick.emit(Add(account="early", n=n), part=str(n))
            on_its_way = await outbox.OutboxTable(conn).page(3)
            assert [row.key for row in on_its_way] == ["early"] * 3
        async with world.unit() as next_one:
            next_one.emit(Add(account="late", n=2))
        ahead = await outbox.OutboxTable(conn).page(3, on_its_way)
    # A reader that went on after the last id would find the second only.
    assert [Add.model_validate_json(row.payload or b"").n for row in ahead if row.key == "late"] == [1, 2]


async def test_the_stand_by_takes_over_when_the_owner_dies(world: World):
    owner = await world.spawn("relay")
    await world.add(Add(account="a", n=1))
    await eventually(lambda: empty(world))
    stand_by = await world.spawn("relay")
    os.kill(owner.pid, signal.SIGKILL)
    await world.add(Add(account="a", n=2))
    await eventually(lambda: empty(world))
    assert stand_by.returncode is None
    assert broken(first_occurrences(await asyncio.to_thread(world.log, IN)), {"a": 2}) == []


async def test_broker_killed_under_load(world: World):
    kafka = world.stack.kafka
    assert kafka, "the embedded broker only"

    async def kill_twice() -> None:
        for _ in range(2):
            await asyncio.sleep(0.2)  # pause: between two kills under load
            await asyncio.to_thread(kafka.kill)
            await asyncio.to_thread(kafka.start)

    async with world.relay():
        counts, _ = await asyncio.gather(write_all(world, 8, lambda done: done < 150), kill_twice())
        await eventually(lambda: empty(world), 60, "the outbox is empty")
    assert broken(first_occurrences(await asyncio.to_thread(world.log, IN)), counts) == []


async def test_a_row_that_the_broker_finds_too_large_is_held_with_its_subject_only(world: World):
    await asyncio.to_thread(world.stack.topic, world.prefix + "small", 1, **{"max.message.bytes": "2000"})

    async def queue(subject: str, n: int, size: int) -> None:
        async with world.unit() as uow:
            headers = {"ce_id": str(n), "ce_subject": subject, "n": str(n)}
            id = uow._id("x", subject, "")
            uow.report(Outgoing("small", subject, subject, id, headers, os.urandom(size)))

    for n, (subject, size) in enumerate([("a", 9), ("b", 5000), ("a", 9), ("b", 9), ("c", 9)], start=1):
        await queue(subject, n, size)
    async with world.relay():
        await eventually(lambda: _only_held(world, 2))
        sent = [header(m, "n") for m in await asyncio.to_thread(world.log, "small")]
        assert list(dict.fromkeys(sent)) == ["1", "3", "5"]
        notice = (await asyncio.to_thread(world.log, "probe.dlq.v1"))[0]
        assert header(notice, "parked_consumer") == "probe.relay"
        assert header(notice, "ce_subject") == "b"
        await asyncio.to_thread(_allow, world)
        async with world.pool.acquire() as conn, conn.transaction():
            assert await relay.release(conn, "probe", "b") == 1
            assert await relay.release(conn, "probe", "b") == 0
        await eventually(lambda: empty(world))
    assert list(dict.fromkeys(header(m, "n") for m in await asyncio.to_thread(world.log, "small"))) == list("13524")
    assert await world.count("parked") == 0


def _allow(world: World) -> None:
    from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

    entry = ConfigEntry("max.message.bytes", "1000000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, world.prefix + "small", incremental_configs=[entry])
    admin = AdminClient(world.stack.client())
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(20)


async def _only_held(world: World, rows: int) -> bool:
    return await world.count("outbox") == rows and await world.count("outbox", "held") == 1


async def test_a_missing_topic_stops_nothing_for_ever(world: World):
    async with world.unit() as uow:
        uow.report(Outgoing("late", "k", "k", uow._id("x", "k", ""), {"ce_id": "1"}, b"1"))
    async with world.relay():
        await world.add(Add(account="a", n=1))
        await asyncio.to_thread(world.stack.topic, world.prefix + "late", 1)
        await eventually(lambda: empty(world))
    assert len(await asyncio.to_thread(world.log, "late")) == 1
    assert len(await asyncio.to_thread(world.log, IN)) == 1


async def test_tombstones_traces_and_envelopes_arrive_as_written(world: World):
    async with world.unit() as uow:
        uow.emit(Echo(account="a", n=1))
        uow.erase(OUT, "a")
    async with world.relay():
        await eventually(lambda: empty(world))
    put, erased = await asyncio.to_thread(world.log, OUT)
    assert put.value() == b'{"account":"a","n":1}'
    assert header(put, "content-type") == "application/json"
    assert (header(put, "ce_type"), header(put, "ce_source")) == (Echo.TYPE, "probe")
    assert (erased.key(), erased.value()) == (b"a", None)
    assert header(erased, "ce_seq") == "2"


@pytest.mark.parametrize("key", ["", "a", "ab", "abc", "2026-05-01@north", "订单/42", "x" * 99])
def test_keys_fall_on_the_partition_that_every_other_client_picks(key: str):
    for count in (1, 4, 6):
        partitions = list(range(count))
        assert _hash(key) % count == DefaultPartitioner()(key.encode(), partitions, partitions)


class CursorRelay(Relay):
    """Broken on purpose: remembers the last id instead of deleting, as a log would be read."""

    last = 0

    async def _step(self, conn, publisher) -> None:
        rows = [row for row in await outbox.OutboxTable(conn).page(10_000) if row.id > self.last]
        if not rows:
            await asyncio.sleep(0.005)  # pause: polls, as the broken design would
            return
        await publisher.send(rows)
        self.last = rows[-1].id


@pytest.mark.seeded
async def test_seeded_a_cursor_relay_is_seen_to_lose_rows(world: World):
    numbered = asyncio.Event()

    async def late() -> None:
        async with world.unit() as uow:
            uow.emit(Add(account="late", n=1))
            await uow.flush()
            uow._rows.clear()
            numbered.set()
            await eventually(lambda: _passed(world))

    async def _passed(world: World) -> bool:
        return len(await asyncio.to_thread(world.log, IN)) == 1

    writing = asyncio.create_task(late())
    async with world.relay(CursorRelay) as broken_relay:
        await numbered.wait()
        await world.add(Add(account="early", n=1))
        await writing
        seen_end = await world.pool.fetchval("select max(id) from outbox")
        await eventually(lambda: broken_relay.last == seen_end)
    log = await asyncio.to_thread(world.log, IN)
    assert broken(first_occurrences(log), {"early": 1, "late": 1}) == ["late: 1 lost"]
    with armed(""):
        async with world.relay():
            await eventually(lambda: empty(world))
    assert broken(first_occurrences(await asyncio.to_thread(world.log, IN)), {"early": 1, "late": 1}) == []
