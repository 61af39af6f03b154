"""Numbers of a subject: without hole or repeat, also when it was silent for longer than the log remembers."""

import asyncio
from datetime import timedelta

import pytest

from services.kit.transaction import numbering
from services.kit.transaction.numbering import advance, forget, keep
from tests.integration.probe.world import World
from tests.stack import eventually

pytestmark = pytest.mark.stack
TOPIC = "probe.out.v1"


async def speak(world: World, subject: str, count: int = 1) -> int:
    async with world.unit() as uow:
        return (await advance(uow.conn, {(TOPIC, subject): count}))[TOPIC, subject]


async def age(world: World, days: int, kept_hours: int = 0) -> None:
    await world.pool.execute("update outbox_seq set spoke_at = spoke_at - $1::interval", timedelta(days=days))
    await world.pool.execute("update outbox_seq set kept_at = kept_at - $1::interval", timedelta(hours=kept_hours))


async def prune(world: World, limit: int = 5_000) -> tuple[int, int]:
    async with world.unit() as uow:
        return await forget(uow.conn, limit), await keep(uow.conn, limit)


async def earlier_ones_ended(world: World) -> None:
    """Returns when no transaction of before is left, which the hour between the two steps is for."""
    now = await world.pool.fetchval("select clock_timestamp()")
    left = "select count(*) from pg_stat_activity where datname = current_database() and xact_start < $1"

    async def none_left() -> bool:
        return await world.pool.fetchval(left, now) == 0

    await eventually(none_left)


async def test_a_silent_subject_leaves_its_number_and_goes_on_counting(world: World):
    assert await speak(world, "old", 4) == 4
    await age(world, 74)
    assert await prune(world) == (0, 0), "the log may still have its last record"
    await age(world, 2)
    await speak(world, "young")
    assert await prune(world) == (0, 1)
    assert await prune(world) == (0, 0), "whoever began before the copy must still find the row"
    await age(world, 0, kept_hours=2)
    assert await prune(world) == (1, 0)
    assert [row["subject"] for row in await world.pool.fetch("select subject from outbox_seq")] == ["young"]
    assert await speak(world, "old", 2) == 6
    assert await speak(world, "old") == 7
    assert await world.count("outbox_seq_kept") == 1


async def test_it_may_fall_silent_again_and_again(world: World):
    last = 0
    for _ in range(3):
        last += 5
        assert await speak(world, "s", 2) == last - 3
        assert await speak(world, "s", 3) == last
        await age(world, 76)
        await prune(world)
        await age(world, 0, kept_hours=2)
        assert (await prune(world))[0] == 1
    assert await speak(world, "s") == 16


async def test_one_that_speaks_between_the_steps_stays(world: World):
    await speak(world, "s", 3)
    await age(world, 76)
    assert await prune(world) == (0, 1)
    assert await speak(world, "s") == 4
    await age(world, 0, kept_hours=2)
    assert await prune(world) == (0, 0)
    assert await speak(world, "s") == 5


async def test_writers_and_pruning_at_once_leave_no_hole(world: World):
    """Each writer finds its subject old, copied, or gone; the pruning never stops."""
    taken: dict[str, list[int]] = {}
    gone: list[int] = []
    done = asyncio.Event()

    async def write(subject: str) -> None:
        for n in range(40):
            taken.setdefault(subject, []).append(await speak(world, subject))
            if n % 10 == 9:  # silent for long enough to be copied and to go
                passes = len(gone)
                while len(gone) < passes + 3:
                    await asyncio.sleep(0.001)

    async def clean() -> None:
        while not done.is_set():
            await earlier_ones_ended(world)
            await age(world, 76, kept_hours=2)
            gone.append((await prune(world))[0])

    cleaning = asyncio.create_task(clean())
    await asyncio.gather(*(write(subject) for subject in "aabbc"))
    done.set()
    await cleaning
    assert sum(gone) > 0
    assert {name: sorted(ns) for name, ns in taken.items()} == {
        "a": list(range(1, 81)),
        "b": list(range(1, 81)),
        "c": list(range(1, 41)),
    }


async def test_batches_go_on_until_nothing_is_left(world: World):
    async with world.unit() as uow:
        await advance(uow.conn, {(TOPIC, f"s{n}"): 1 for n in range(12)})
    await age(world, 76)
    assert [(await prune(world, 5))[1] for _ in range(4)] == [5, 5, 2, 0]
    await age(world, 0, kept_hours=2)
    assert [(await prune(world, 5))[0] for _ in range(4)] == [5, 5, 2, 0]


@pytest.mark.seeded
async def test_seeded_numbers_that_are_forgotten_are_seen(world: World, monkeypatch):
    async def careless(conn, limit: int = 5_000) -> int:
        done = await numbering.keep(conn, limit)
        await conn.execute("truncate outbox_seq_kept")
        return done

    monkeypatch.setitem(globals(), "keep", careless)
    with pytest.raises(AssertionError):
        await test_a_silent_subject_leaves_its_number_and_goes_on_counting(world)
