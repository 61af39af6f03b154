"""Deadlines: durable, on the right clock, once, and never after they were replaced or removed."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from services.kit.clock import ManualClock
from services.kit.consumer.redrive import redrive
from services.kit.consumer.sweeper import Sweeper
from tests.integration.probe import service
from tests.integration.probe.service import ProbeBook, on_due
from tests.integration.probe.world import World, lock_accounts
from tests.stack import eventually

pytestmark = pytest.mark.stack
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock(world: World) -> ManualClock:
    world.clock = ManualClock(NOON, wall=NOON)
    return world.clock


def sweeper(world: World, open_repository=ProbeBook) -> Sweeper:
    return Sweeper("probe", on_due, open_repository, world.context)


async def set_due(world: World, kind: str, subject: str, at: datetime, **more) -> None:
    async with world.unit() as uow:
        await lock_accounts(uow, [subject])
        uow.set_deadline(kind, subject, at, **more)


async def test_fires_once_at_its_time_under_two_sweepers(world: World, clock: ManualClock):
    for n in range(50):
        await set_due(world, "pay", f"a{n}", NOON + MINUTE, version=n)
    assert await sweeper(world).sweep() == 0
    clock.advance(MINUTE)
    await asyncio.gather(*(sweeper(world).sweep() for _ in range(4)))
    fired = await world.effects("pay")
    assert fired == {f"a{n}": [n] for n in range(50)}
    assert await world.count("deadline") == 0


async def test_business_and_real_time_are_two_clocks(world: World, clock: ManualClock):
    await set_due(world, "business", "a", NOON + MINUTE)
    await set_due(world, "real", "a", NOON + MINUTE, real=True)
    clock.set(NOON + 2 * MINUTE, wall=NOON)
    await sweeper(world).sweep()
    assert (await world.effects("business"), await world.effects("real")) == ({"a": [0]}, {})
    clock.set(NOON + 2 * MINUTE, wall=NOON + 2 * MINUTE)
    await sweeper(world).sweep()
    assert await world.effects("real") == {"a": [0]}


async def test_a_replaced_or_removed_one_does_not_fire(world: World, clock: ManualClock):
    await set_due(world, "pay", "replaced", NOON + MINUTE, version=1)
    await set_due(world, "pay", "replaced", NOON + 3 * MINUTE, version=2)
    await set_due(world, "pay", "removed", NOON + MINUTE)
    async with world.unit() as uow:
        uow.clear_deadline("pay", "removed")
        uow.clear_deadline("pay", "never set")
    clock.advance(2 * MINUTE)
    await sweeper(world).sweep()
    assert await world.effects("pay") == {}
    clock.advance(MINUTE)
    await sweeper(world).sweep()
    assert await world.effects("pay") == {"replaced": [2]}


async def test_a_command_that_holds_the_lock_decides(world: World, clock: ManualClock):
    """The sweeper has already seen the deadline as due when the command removes or replaces it."""
    await set_due(world, "pay", "removed", NOON)
    await set_due(world, "pay", "replaced", NOON)
    async with world.unit() as uow:
        await lock_accounts(uow, ["removed", "replaced"])
        sweeping = asyncio.create_task(sweeper(world).sweep())
        await eventually(lambda: world.count("pg_locks", "not granted"))
        uow.clear_deadline("pay", "removed")
        uow.set_deadline("pay", "replaced", NOON, version=9)
    assert await sweeping == 2
    assert await world.effects("pay") == {}
    await sweeper(world).sweep()
    assert await world.effects("pay") == {"replaced": [9]}


async def test_setting_the_same_again_fires_again_under_another_id(world: World, clock: ManualClock):
    for _ in range(2):
        await set_due(world, "pay", "a", NOON)
        await sweeper(world).sweep()
    assert await world.effects("pay") == {"a": [0, 0]}
    assert await world.pool.fetchval("select count(distinct event_id) from effect") == 2


async def test_an_unprocessable_one_is_parked_and_redriven(world: World, clock: ManualClock):
    service.BROKEN.add("bad")
    await set_due(world, "bad", "a", NOON, version=3)
    await set_due(world, "pay", "b", NOON)
    await sweeper(world).sweep()
    assert await world.effects("pay") == {"b": [0]}
    assert await world.pool.fetchval("select (scope, attempts)::text from parked") == "(a,1)"
    service.BROKEN.discard("bad")
    assert (await redrive(sweeper(world).processor, "a")).done == 1
    assert await world.effects("bad") == {"a": [3]}


async def test_a_running_sweeper_acts_by_itself(world: World):
    await set_due(world, "pay", "a", datetime.now(UTC) + timedelta(seconds=0.3))
    running = asyncio.create_task(sweeper(world).run())
    await eventually(lambda: world.count("effect"))
    running.cancel()
    assert await world.effects("pay") == {"a": [0]}
