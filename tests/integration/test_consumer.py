"""Consumer: order per key, one effect per event, poison dead-lettered, transient errors retried,
rebalances survived.
"""

import asyncio
import signal
from uuid import uuid4

import pytest
from faststream.middlewares import AckPolicy

from services.kit.consumer import processor as kit_handling
from services.kit.consumer import subscription as kit_consumer
from services.kit.consumer.processor import BatchProcessor
from services.kit.consumer.subscription import Subscription
from services.kit.errors import Transient
from tests.integration.probe import service
from tests.integration.probe.service import IN, Add, Echo, Noise
from tests.integration.probe.world import World, broken, record
from tests.stack import eventually

pytestmark = pytest.mark.stack
GOOD = {"ce_type": Add.TYPE, "ce_time": "2026-05-01T06:00:00Z"}


def raw(account: str, n: int, **more):
    """An Add as a raw record (key, value, headers)."""
    headers = GOOD | {"ce_id": str(uuid4()), "ce_subject": account} | more
    return (account.encode(), Add(account=account, n=n).model_dump_json().encode(), list(headers.items()))


async def produce(world: World, per_partition: dict[int, list]) -> None:
    for partition, records in per_partition.items():
        await asyncio.to_thread(world.produce, IN, records, partition)


class Flaky(BatchProcessor):
    """Refuses its first batches after they were read, as if the database were away."""

    refusals = 2
    calls = 0

    async def handle(self, records) -> None:
        self.calls += 1
        if self.calls <= self.refusals:
            raise Transient("not now") if self.calls % 2 else ValueError("a bug")
        await super().handle(records)


def flaky(world: World) -> Flaky:
    return world.processor(kind=Flaky)  # type: ignore[return-value]


async def test_a_refused_batch_over_several_partitions_comes_back_whole(world: World):
    await produce(world, {p: [raw(f"p{p}", n) for n in range(1, 7)] for p in range(4)})
    async with world.consumer(flaky(world)) as processor:
        await eventually(lambda: _handled(world, 24))
        assert processor.calls >= 3
    assert broken(await world.effects(), {f"p{p}": 6 for p in range(4)}) == []
    assert await _committed(world) == {0: 6, 1: 6, 2: 6, 3: 6}


async def _handled(world: World, count: int) -> bool:
    return await world.count("effect") >= count


async def _committed(world: World) -> dict[int, int]:
    from confluent_kafka import Consumer, TopicPartition

    reader = Consumer({**world.stack.client(), "group.id": f"{world.prefix}probe.{IN}"})
    found = reader.committed([TopicPartition(world.prefix + IN, p) for p in range(4)], timeout=20)
    reader.close()
    return {one.partition: one.offset for one in found}


POISON = {
    "bad JSON": (b"poison", b"{not json", [*GOOD.items(), ("ce_id", str(uuid4())), ("ce_subject", "poison")]),
    "not the model": (b"poison", b'{"n":"x"}', [*GOOD.items(), ("ce_id", str(uuid4())), ("ce_subject", "poison")]),
    "empty": (b"poison", b"", [*GOOD.items(), ("ce_id", str(uuid4())), ("ce_subject", "poison")]),
    "not UTF-8": (b"poison", b"{}", [("ce_id", b"\xff\xfe"), ("ce_subject", b"\x80"), ("ce_type", b"x")]),
    "unknown type": (b"poison", b"{}", [("ce_type", "market.x.y.v9"), ("ce_id", str(uuid4())), ("ce_subject", "poison"),
                                        ("ce_time", GOOD["ce_time"])]),
    "no subject": (b"poison", b"{}", [*GOOD.items(), ("ce_id", str(uuid4()))]),
    "no headers": (b"poison", b"{}", []),
    "nothing at all": (None, b"", []),
    "a NUL": (b"poi\x00son", b"{}", [*GOOD.items(), ("ce_id", str(uuid4())), ("ce_subject", b"a\x00b")]),
    "endless subject": (b"k" * 3000, b"{}", [*GOOD.items(), ("ce_id", str(uuid4())), ("ce_subject", "s" * 9000)]),
}  # fmt: skip


async def test_poison_of_every_kind_is_parked_while_the_partition_flows(world: World):
    records = [raw("good", 1)]
    for n, poison in enumerate(POISON.values(), start=2):
        records += [poison, raw("good", n)]
    await produce(world, {0: records})
    async with world.consumer():
        await eventually(lambda: _handled(world, len(POISON) + 1))
    assert broken(await world.effects(), {"good": len(POISON) + 1}) == []
    assert await world.count("parked") == len(POISON)
    errors = await world.pool.fetch("select error from parked where attempts > 0 or error !~ 'behind'")
    assert not any("not json" in row["error"] for row in errors), "a reason quotes the content"


async def test_a_null_is_parked_where_nothing_is_ever_erased(world: World):
    only_add = Subscription(IN, {Add: service.on_add})
    plain = world.processor()
    processor = world.processor(only_add)
    await processor.handle([record(Add(account="a", n=1), 0)._replace(value=None)])
    assert "null" in await world.pool.fetchval("select error from parked")
    await plain.handle([record(Add(account="b", n=1), 1)._replace(value=None)])
    assert await world.effects("erased") == {"b": [0]}


async def passes_over(world: World, processor: BatchProcessor) -> None:
    """A record of a type without a reader never blocks its scope, whatever its content, even as the first one."""
    unreadable = record(Noise(account="a"), 0)._replace(value=b"{not json")
    await processor.handle([unreadable, record(Add(account="a", n=1), 1), record(Noise(account="a"), 2)])
    assert await world.effects() == {"a": [1]}
    assert await world.count("parked") == 0


async def test_known_types_without_a_handler_are_passed_over_unread(world: World):
    await passes_over(world, world.processor())


async def test_a_type_of_another_topic_is_parked(world: World):
    await world.processor().handle([record(Echo(account="a", n=1), 0)])
    assert "no type 'market.probe.echo.v1' is known on this topic" in await world.pool.fetchval(
        "select error from parked"
    )


@pytest.mark.seeded
async def test_seeded_types_that_are_read_though_nobody_handles_them_are_seen(world: World):
    curious = world.processor()
    curious.source._passed_over = set()
    with pytest.raises(AssertionError):
        await passes_over(world, curious)


async def test_one_bad_event_in_a_batch_costs_only_itself(world: World):
    for fail in ("unprocessable", "error", "save"):
        records = [record(Add(account=f"{fail}{n}", n=1, fail=fail if n == 37 else ""), n) for n in range(100)]
        await world.processor().handle(records)
    assert await world.count("effect") == 297
    rows = await world.pool.fetch("select scope, attempts, error from parked order by id")
    assert [(row["scope"], row["attempts"]) for row in rows] == [("unprocessable37", 1), ("error37", 3), ("save37", 3)]
    assert "check constraint" in rows[2]["error"]


class Impatient(service.ProbeBook):
    """Gives up a lock that it does not get at once."""

    async def load(self, messages) -> None:
        await self.uow.conn.execute("set local lock_timeout = '50ms'")
        await super().load(messages)


async def test_transient_errors_never_park_however_long(world: World, monkeypatch):
    monkeypatch.setattr(kit_handling, "BUDGET_S", 0.3)
    await world.pool.execute("insert into account (name) values ('a')")
    async with world.pool.acquire() as other, other.transaction():
        await other.execute("select from account where name = 'a' for update")
        for _ in range(2):
            with pytest.raises(Transient):
                await world.processor(open_repository=Impatient).handle([record(Add(account="a", n=1), 0)])
    await world.processor().handle([record(Add(account="a", n=1), 0)])
    assert await world.effects() == {"a": [1]}
    assert await world.count("parked") == 0


async def test_members_come_and_go_without_a_lost_or_doubled_effect(world: World):
    done = asyncio.Event()
    counts = {f"account-{n}": 0 for n in range(16)}

    async def write() -> None:
        while not done.is_set():
            for name in counts:
                counts[name] += 1
            await world.add(*(Add(account=name, n=n) for name, n in counts.items()))
            await asyncio.sleep(0.02)

    async with world.relay():
        writing = asyncio.create_task(write())
        first = await world.spawn("consumer", instance="probe.0")
        await eventually(lambda: _handled(world, 200))
        second = await world.spawn("consumer", instance="probe.1")
        await eventually(lambda: _handled(world, 2000), 30)
        first.send_signal(signal.SIGKILL)
        first = await world.spawn("consumer", instance="probe.0")
        before = await world.count("effect")
        await eventually(lambda: _handled(world, before + 1000), 30)
        second.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(second.wait(), 60) == 0
        done.set()
        await writing
        await eventually(lambda: _handled(world, sum(counts.values())), 40)
    assert broken(await world.effects(), counts) == []


async def test_a_stop_in_the_middle_of_a_batch_loses_nothing(world: World):
    inside, go_on = asyncio.Event(), asyncio.Event()

    class Slow(service.ProbeBook):
        async def save(self) -> None:
            inside.set()
            await go_on.wait()
            await super().save()

    await produce(world, {0: [raw("a", n) for n in range(1, 11)]})
    async with world.consumer(world.processor(open_repository=Slow)):
        await asyncio.wait_for(inside.wait(), 20)
        asyncio.get_running_loop().call_later(0.3, go_on.set)
    await produce(world, {0: [raw("a", n) for n in range(11, 21)]})
    async with world.consumer():
        await eventually(lambda: _handled(world, 20))
    assert broken(await world.effects(), {"a": 20}) == []


@pytest.mark.seeded
async def test_seeded_an_ack_before_the_commit_is_seen_to_lose_events(world: World, monkeypatch):
    class AckFirst:
        NACK_ON_ERROR = AckPolicy("ack")  # broken on purpose

    monkeypatch.setattr(kit_consumer, "AckPolicy", AckFirst)
    await produce(world, {p: [raw(f"p{p}", n) for n in range(1, 7)] for p in range(4)})

    async def refuse(records) -> None:
        raise ValueError("a bug")

    dying = world.processor()
    dying.handle = refuse  # type: ignore[method-assign]
    async with world.consumer(dying):
        await eventually(lambda: _all_committed(world))
    monkeypatch.undo()
    async with world.consumer():
        await produce(world, {0: [raw("end", 1)]})
        await eventually(lambda: _handled(world, 1))
    assert broken(await world.effects(), {f"p{p}": 6 for p in range(4)}) == [f"p{p}: 6 lost" for p in range(4)]


async def _all_committed(world: World) -> bool:
    return set((await _committed(world)).values()) == {6}
