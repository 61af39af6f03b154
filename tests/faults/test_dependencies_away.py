"""Kafka or PostgreSQL killed or frozen under load: everything waits, nothing is lost, nothing is parked."""

import asyncio
import os
import signal
import time
from contextlib import asynccontextmanager, suppress

import pytest

from services.kit.database import is_transient
from tests.integration.probe.service import IN, OUT, Add
from tests.integration.probe.world import World, broken, first_occurrences, lock_accounts, open_world
from tests.stack import TestStack, eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]
ACCOUNTS = [f"account-{n}" for n in range(10)]


@asynccontextmanager
async def load(world: World):
    """A relay and a consumer as processes, and a writer that tries again when a dependency is away.

    Yields how many events of each account were acknowledged to the writer so far.
    """
    acknowledged, finished = dict.fromkeys(ACCOUNTS, 0), asyncio.Event()

    async def write() -> None:
        while not finished.is_set():
            try:
                async with asyncio.timeout(60):
                    acknowledged.update(await _write_once(world))
            except Exception as error:
                if not is_transient(error):
                    raise
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.02)

    await world.spawn("relay")
    await world.spawn("consumer", instance="probe.0")
    writing = asyncio.create_task(write())
    await eventually(lambda: _some(world, 100), 30)
    yield acknowledged
    before = sum(acknowledged.values())
    await eventually(lambda: sum(acknowledged.values()) > before, 60, "the writer goes on")
    finished.set()
    await writing


async def _write_once(world: World) -> dict[str, int]:
    """One event for each account, numbered by what stands in the database, so that an unknown commit costs nothing."""
    async with world.unit() as uow:
        await lock_accounts(uow, ACCOUNTS)
        numbers = await _written(uow.conn)
        for name in ACCOUNTS:
            uow.emit(Add(account=name, n=numbers.get(name, 0) + 1))
    return {name: numbers.get(name, 0) + 1 for name in ACCOUNTS}


async def _written(conn) -> dict[str, int]:
    rows = await conn.fetch("select subject, seq from outbox_seq where topic = $1", IN)
    return {row["subject"]: row["seq"] for row in rows}


async def _some(world: World, count: int) -> bool:
    return await world.count("effect") >= count


async def check(world: World, acknowledged: dict[str, int]) -> None:
    """Everything acknowledged is there, and everything that is there took effect once, in order, and was echoed."""
    counts = await _written(world.pool)
    assert all(counts[name] >= acknowledged[name] for name in ACCOUNTS)
    total = sum(counts.values())
    await eventually(lambda: _settled(world, total), 45, "all effects and echoes")
    assert broken(await world.effects(), counts) == []
    for topic in (IN, OUT):
        assert broken(first_occurrences(await asyncio.to_thread(world.log, topic)), counts) == []
    assert await world.count("parked") == 0


async def _settled(world: World, total: int) -> bool:
    with suppress(OSError):
        return await world.count("effect") >= total and await world.count("outbox") == 0
    return False


async def freeze(pid: int, seconds: float) -> None:
    """SIGSTOP for so long. The wait is the fault itself, not a wait for a condition."""
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)  # pause: the fault itself
    finally:
        os.kill(pid, signal.SIGCONT)


async def freeze_postgres(postmaster: int, seconds: float) -> None:
    """Stops the postmaster and its backends."""
    import psutil

    parent = psutil.Process(postmaster)
    family = [parent, *parent.children(recursive=True)]
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.suspend()
    try:
        await asyncio.sleep(seconds)  # pause: the fault itself
    finally:
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.resume()


async def test_broker_and_database_frozen_for_thirty_seconds_each(world: World):
    kafka, postgres = world.stack.kafka, world.stack.postgres
    assert kafka, "the embedded broker only"
    assert postgres, "the embedded database only"
    async with load(world) as acknowledged:
        before = sum(acknowledged.values())
        broker = asyncio.create_task(freeze(kafka.pid, 30))
        await eventually(lambda: sum(acknowledged.values()) > before + 500, 20, "writers go on without Kafka")
        await freeze_postgres(postgres.pid, 30)
        await broker
    await check(world, acknowledged)


async def test_postgres_killed_twice(world: World):
    postgres = world.stack.postgres
    assert postgres, "the embedded database only"
    async with load(world) as acknowledged:
        for _ in range(2):
            before = sum(acknowledged.values())
            await asyncio.to_thread(postgres.kill)
            await asyncio.to_thread(postgres.start)
            await eventually(lambda seen=before: sum(acknowledged.values()) > seen, 30)
    await check(world, acknowledged)


async def test_postgres_away_for_five_seconds_parks_nothing(world: World):
    postgres = world.stack.postgres
    assert postgres, "the embedded database only"
    async with load(world) as acknowledged:
        await asyncio.to_thread(postgres.stop)
        await asyncio.sleep(5)  # pause: the fault itself
        await asyncio.to_thread(postgres.start)
    await check(world, acknowledged)


async def test_broker_killed_with_consumers_at_work(stack: TestStack, prefix: str):
    kafka = stack.kafka
    assert kafka, "the embedded broker only"
    async with open_world(stack, prefix) as world:
        async with load(world) as acknowledged:
            for _ in range(2):
                await asyncio.to_thread(kafka.kill)
                await asyncio.to_thread(kafka.start)
                done, began = await world.count("effect"), time.monotonic()
                await eventually(lambda seen=done: _some(world, seen + 200), 45)
                assert time.monotonic() - began < 45
        await check(world, acknowledged)


async def test_a_consumer_frozen_beyond_its_session_and_a_relay_beside_it(world: World):
    """The frozen member comes back as a zombie that still holds a batch; its partitions have another owner."""
    async with load(world) as acknowledged:
        second = await world.spawn("consumer", instance="probe.1")
        relay = await world.spawn("relay")
        done = await world.count("effect")
        await eventually(lambda: _some(world, done + 500), 30)
        await asyncio.gather(freeze(second.pid, 13), freeze(relay.pid, 8))
        done = await world.count("effect")
        await eventually(lambda: _some(world, done + 500), 30)
    await check(world, acknowledged)
