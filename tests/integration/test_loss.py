"""An outbox, the log and an inbox lose nothing while the processes on both sides are killed."""

import asyncio
import random
import signal

import pytest

from tests.integration.probe.service import IN, OUT, Add
from tests.integration.probe.world import World, broken, first_occurrences
from tests.stack import eventually

pytestmark = pytest.mark.stack
ACCOUNTS = [f"account-{n}" for n in range(20)]
CONSUMER_POINTS = ["inbox.after_insert", "effect.before_commit", "effect.after_commit_before_ack"]
RELAY_POINTS = ["relay.after_claim", "relay.mid_batch", "relay.after_send", "relay.before_mark"]


async def test_outbox_to_inbox_with_every_process_killed(world: World):
    """Events travel probe.in -> effect -> probe.out; both relay and consumer die at each named point in turn."""
    counts = dict.fromkeys(ACCOUNTS, 0)
    finished = asyncio.Event()

    async def write() -> None:
        chance = random.Random(7)
        while not finished.is_set():
            names = sorted(chance.sample(ACCOUNTS, 4))
            for name in names:
                counts[name] += 1
            await world.add(*(Add(account=name, n=counts[name]) for name in names))
            await asyncio.sleep(0.01)

    async def die(part: str, points: list[str]) -> None:
        for point in points:
            process = await world.spawn(part, instance=f"probe.{part}", fault=f"{point}:kill@{random.randint(2, 5)}")
            assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
        await world.spawn(part, instance=f"probe.{part}")

    writing = asyncio.create_task(write())
    await asyncio.gather(die("relay", RELAY_POINTS), die("consumer", CONSUMER_POINTS))
    finished.set()
    await writing
    total = sum(counts.values())
    await eventually(lambda: _settled(world, total), 60, "all effects and echoes")
    assert broken(await world.effects(), counts) == []
    sent, echoed = await asyncio.to_thread(world.log, IN), await asyncio.to_thread(world.log, OUT)
    assert broken(first_occurrences(sent), counts) == []
    assert broken(first_occurrences(echoed), counts) == []
    assert len(sent) + len(echoed) > 2 * total, "inconclusive: nothing was delivered twice"
    assert await world.count("parked") == 0
    assert await world.pool.fetchval("select sum(total) from account") == total


async def _settled(world: World, total: int) -> bool:
    return await world.count("effect") >= total and await world.count("outbox") == 0
