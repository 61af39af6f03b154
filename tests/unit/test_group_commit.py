"""Group commit: sharing, splitting, order, and who hears of what."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.errors import CommitUnknown, Overloaded
from services.kit.http.group_commit import GroupCommit

Run = Callable[[list[int]], Awaitable[list[int]]]


class Database:
    """Commits groups; `bad` items make theirs fail, the way a constraint does. Counts what it was asked."""

    def __init__(self, bad: set[int] | None = None) -> None:
        self.bad = bad or set()
        self.groups: list[list[int]] = []
        self.committed: list[int] = []
        self.open = asyncio.Event()
        self.open.set()

    async def run(self, items: list[int]) -> list[int]:
        self.groups.append(items)
        await self.open.wait()
        for item in items:
            if item in self.bad:
                raise ValueError(f"bad {item}")
        self.committed += items
        return [item * 10 for item in items]


async def submit_all(batcher: GroupCommit[int, int], items: list[int]) -> list[int | BaseException]:
    """Submits at once, in order; results in order."""
    return await asyncio.gather(*(batcher.submit(item) for item in items), return_exceptions=True)


async def test_what_arrives_during_a_commit_shares_the_next_one() -> None:
    database = Database()
    batcher = GroupCommit(database.run, int)
    database.open.clear()
    first = asyncio.create_task(batcher.submit(1))
    while not database.groups:
        await asyncio.sleep(0)
    others = [asyncio.create_task(batcher.submit(n)) for n in (2, 3, 4)]
    await asyncio.sleep(0)  # pause: lets the three hand in their items
    database.open.set()
    assert await asyncio.gather(first, *others) == [10, 20, 30, 40]
    assert database.groups == [[1], [2, 3, 4]]


async def test_two_lanes_run_two_groups_at_a_time() -> None:
    database = Database()
    batcher = GroupCommit(database.run, int, concurrency=2)
    database.open.clear()
    asked = []
    for n in (1, 2):  # each finds a lane free
        asked.append(asyncio.create_task(batcher.submit(n)))
        while len(database.groups) < n:
            await asyncio.sleep(0)
    asked += [asyncio.create_task(batcher.submit(n)) for n in (3, 4)]
    await asyncio.sleep(0)  # pause: lets the two hand in their items
    assert database.groups == [[1], [2]]
    database.open.set()
    assert await asyncio.gather(*asked) == [10, 20, 30, 40]
    assert database.groups == [[1], [2], [3, 4]]


async def test_a_group_has_a_limit() -> None:
    database = Database()
    assert await submit_all(GroupCommit(database.run, int, limit=3), list(range(7))) == [n * 10 for n in range(7)]
    assert [len(group) for group in database.groups] == [3, 3, 1]


async def test_only_the_bad_item_fails() -> None:
    database = Database(bad={5})
    results = await submit_all(GroupCommit(database.run, int), list(range(16)))
    assert str(results[5]) == "bad 5"
    assert [r for n, r in enumerate(results) if n != 5] == [n * 10 for n in range(16) if n != 5]
    assert len(database.groups) <= 1 + 2 * 4  # halving 16 four times


async def test_the_search_for_a_bad_item_keeps_nobody_else_waiting() -> None:
    database, searching, go_on = Database(bad={0}), asyncio.Event(), asyncio.Event()

    async def run(items: list[int]) -> list[int]:
        if database.groups and max(items) < 8:
            searching.set()
            await go_on.wait()
        return await database.run(items)

    batcher = GroupCommit(run, int)
    searched = asyncio.create_task(submit_all(batcher, list(range(8))))
    await searching.wait()
    assert await asyncio.wait_for(batcher.submit(8), 20) == 80
    go_on.set()
    assert str((await searched)[0]) == "bad 0"


async def test_a_bad_item_that_comes_again_shares_with_nobody() -> None:
    database = Database(bad={5})
    batcher = GroupCommit(database.run, int)
    await submit_all(batcher, list(range(8)))
    for _ in range(2):
        database.groups.clear()
        results = await submit_all(batcher, list(range(8)))
        assert str(results[5]) == "bad 5"
        assert sorted(database.groups) == [[0, 1, 2, 3, 4, 6, 7], [5]]
    database.bad.clear()
    assert await batcher.submit(5) == 50
    database.groups.clear()
    await submit_all(batcher, list(range(8)))
    assert database.groups == [list(range(8))]


async def test_suspects_count_as_waiting() -> None:
    database = Database(bad=set(range(4)))
    batcher = GroupCommit(database.run, int, waiting=4)
    await submit_all(batcher, list(range(4)))
    results = await submit_all(batcher, list(range(5)))
    assert isinstance(results[4], Overloaded)


@pytest.mark.parametrize("error", [ConnectionResetError("gone"), CommitUnknown("lost at COMMIT")])
async def test_an_error_of_the_whole_group_is_not_searched_for(error: Exception) -> None:
    asked = 0

    async def run(items: list[int]) -> list[int]:
        nonlocal asked
        asked += 1
        raise error

    batcher = GroupCommit(run, int)
    assert await submit_all(batcher, [1, 2, 3]) == [error] * 3
    assert asked == 1


async def test_a_cancelled_waiter_cancels_nothing() -> None:
    database = Database()
    batcher = GroupCommit(database.run, int)
    database.open.clear()
    waiters = [asyncio.create_task(batcher.submit(n)) for n in range(3)]
    while not database.groups:
        await asyncio.sleep(0)
    waiters[1].cancel()
    database.open.set()
    results = await asyncio.gather(*waiters, return_exceptions=True)
    assert results[0] == 0
    assert isinstance(results[1], asyncio.CancelledError)
    assert results[2] == 20
    assert database.committed == [0, 1, 2]


async def test_a_queue_that_is_too_long_refuses() -> None:
    database = Database()
    batcher = GroupCommit(database.run, int, waiting=2)
    results = await submit_all(batcher, [1, 2, 3])
    assert isinstance(results[2], Overloaded)
    assert database.committed == [1, 2]
    assert await batcher.submit(4) == 40


async def test_a_group_does_not_inherit_the_request_that_started_it() -> None:
    request: ContextVar[str] = ContextVar("request", default="none")
    seen: list[str] = []

    async def run(items: list[int]) -> list[int]:
        seen.append(request.get())
        return items

    batcher = GroupCommit(run, int)
    request.set("mine")
    await batcher.submit(1)
    assert seen == ["none"]


async def test_too_few_results_are_an_error_not_a_silence() -> None:
    async def run(items: list[int]) -> list[int]:
        return []

    with pytest.raises(RuntimeError, match="0 results for 1"):
        await GroupCommit(run, int).submit(1)


@given(
    items=st.lists(st.integers(0, 50), max_size=40),
    bad=st.sets(st.integers(0, 50)),
    limit=st.integers(1, 9),
)
def test_every_waiter_gets_its_own_answer(items: list[int], bad: set[int], limit: int) -> None:
    async def go() -> None:
        database = Database(bad)
        results = await submit_all(GroupCommit(database.run, int, limit=limit), items)
        for item, result in zip(items, results, strict=True):
            if item in bad:
                assert str(result) == f"bad {item}"
            else:
                assert result == item * 10
        assert sorted(database.committed) == sorted(item for item in items if item not in bad)
        assert all(len(group) <= limit for group in database.groups)

    asyncio.run(go())


@given(
    items=st.lists(st.integers(0, 50), min_size=1, max_size=30, unique=True),
    data=st.data(),
)
def test_cancelling_any_waiters_changes_no_effect(items: list[int], data: st.DataObject) -> None:
    gone = data.draw(st.sets(st.sampled_from(items)))

    async def go() -> None:
        database = Database()
        database.open.clear()
        batcher = GroupCommit(database.run, int, limit=4)
        waiters = {item: asyncio.create_task(batcher.submit(item)) for item in items}
        while not database.groups:
            await asyncio.sleep(0)
        for item in gone:
            waiters[item].cancel()
        database.open.set()
        results = await asyncio.gather(*waiters.values(), return_exceptions=True)
        for item, result in zip(items, results, strict=True):
            assert isinstance(result, asyncio.CancelledError) if item in gone else result == item * 10
        while len(database.committed) < len(items):
            await asyncio.sleep(0)
        assert database.committed == items

    asyncio.run(go())
