"""Group commit: requests that arrive while a commit runs share the next one. No timer, so no added latency."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from services.kit.database import is_transient

T = TypeVar("T")
R = TypeVar("R")


class Overloaded(Exception):
    """Too many items wait already; nothing was begun for this one, so it may be repeated later."""


class GroupCommit(Generic[T, R]):
    """Collects items and hands them to `run`, at most `limit` in a group, in order of arrival; `lanes` groups at a
    time, so that with two one computes while the other waits for the database.

    `run(items)` answers with one result per item, in order, and all its effects are in one transaction: when it
    raises, none happened. An error that concerns the whole group (database away, outcome of COMMIT unknown) goes
    to every waiter. Any other error is some item's own: the group is halved until that item stands alone, so its
    neighbours succeed. A waiter that is cancelled cancels nothing: its item is run all the same.
    """

    def __init__(
        self, run: Callable[[list[T]], Awaitable[list[R]]], limit: int = 200, waiting: int = 5000, lanes: int = 1
    ) -> None:
        self._run, self._limit, self._waiting = run, limit, waiting
        self._queue: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._free = list(range(lanes))
        self._workers: dict[int, asyncio.Task[None]] = {}  # the loop itself would forget them
        # A group belongs to no request, so it must not inherit the ids of the one that happened to start it.
        self._context = contextvars.copy_context()

    async def submit(self, item: T) -> R:
        """The item's result after its group's commit, or the error that its run raised. Raises `Overloaded`."""
        if len(self._queue) >= self._waiting:
            raise Overloaded(f"{len(self._queue)} requests wait already")
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._queue.append((item, future))
        if self._free:
            lane = self._free.pop()
            self._workers[lane] = asyncio.create_task(self._work(lane), context=self._context.copy())
        return await future

    async def _work(self, lane: int) -> None:
        try:
            while self._queue:
                group = [self._queue.popleft() for _ in range(min(self._limit, len(self._queue)))]
                await self._commit(group)
        finally:
            self._free.append(lane)

    async def _commit(self, group: list[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await self._run([item for item, _ in group])
            if len(results) != len(group):
                raise RuntimeError(f"{len(results)} results for {len(group)} items")
        except Exception as error:
            if len(group) > 1 and not _concerns_all(error):
                middle = len(group) // 2
                await self._commit(group[:middle])
                await self._commit(group[middle:])
                return
            for _, future in group:
                if not future.done():
                    future.set_exception(error)
        except BaseException:
            for _, future in group:
                future.cancel()
            raise
        else:
            for (_, future), result in zip(group, results, strict=True):
                if not future.done():
                    future.set_result(result)


def _concerns_all(error: Exception) -> bool:
    return is_transient(error)  # CommitUnknown too: it is a ConnectionError
