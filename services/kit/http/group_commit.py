"""Group commit: requests that arrive while a commit runs share the next one. No timer, so no added latency."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from services.kit.database import is_transient
from services.kit.errors import Overloaded
from services.kit.transaction.ports import AsyncioTasks, Tasks

T = TypeVar("T")
R = TypeVar("R")
_Waiter = tuple[T, asyncio.Future[R]]
_SEARCH = -1
REMEMBERED = 1_000
"""The number of failed items that are remembered by name; the oldest are forgotten first."""


class GroupCommit(Generic[T, R]):
    """Collects items and hands them to `run`, at most `limit` in a group, in order of arrival; `concurrency` groups at
    a time, so that with two one computes while the other waits for the database.

    `run(items)` answers with one result per item, in order, and all its effects are in one transaction: when it
    raises, none happened. An error that concerns the whole group (database away, outcome of COMMIT unknown) goes
    to every waiter. Any other error belongs to one item: the group is halved until that item is alone, so the others
    succeed. A waiter that is cancelled cancels nothing: its item is run all the same.

    Groups that failed are halved by one extra worker, one at a time, so the items that arrive meanwhile don't wait for
    them. An item that failed alone is remembered by its `name`: sent again, it is run alone at once.
    """

    def __init__(
        self,
        run: Callable[[list[T]], Awaitable[list[R]]],
        name: Callable[[T], Hashable],
        limit: int = 200,
        waiting: int = 5000,
        concurrency: int = 1,
        tasks: Tasks | None = None,
    ) -> None:
        self._run, self._name, self._limit, self._waiting = run, name, limit, waiting
        self._tasks = tasks or AsyncioTasks()
        self._queue: deque[_Waiter[T, R]] = deque()
        self._suspects: deque[list[_Waiter[T, R]]] = deque()
        self._suspected = 0
        self._failed: dict[Hashable, None] = {}
        self._free = list(range(concurrency))
        self._workers: dict[int, Awaitable[None]] = {}  # the loop itself would forget them
        # A group belongs to no request, so it must not inherit the ids of the one that happened to start it.
        self._context = contextvars.copy_context()

    async def submit(self, item: T) -> R:
        """Return the item's result after its group's commit, or raise the error of its run. Raises `Overloaded`."""
        waiting = len(self._queue) + self._suspected
        if waiting >= self._waiting:
            raise Overloaded(f"{waiting} requests wait already")
        future: asyncio.Future[R] = self._tasks.future()
        if self._name(item) in self._failed:
            self._suspect([[(item, future)]])
        else:
            self._queue.append((item, future))
            if self._free:
                self._start(self._free.pop(), self._work)
        return await future

    def _start(self, worker: int, work: Callable[[int], Coroutine[Any, Any, None]]) -> None:
        self._workers[worker] = self._tasks.spawn(work(worker), context=self._context.copy())

    def _suspect(self, groups: list[list[_Waiter[T, R]]]) -> None:
        self._suspects.extend(groups)
        self._suspected += sum(map(len, groups))
        if self._suspects and _SEARCH not in self._workers:
            self._start(_SEARCH, self._search)

    async def _work(self, worker: int) -> None:
        try:
            while self._queue:
                group = [self._queue.popleft() for _ in range(min(self._limit, len(self._queue)))]
                self._suspect(await self._commit(group))
        finally:
            self._free.append(worker)

    async def _search(self, worker: int) -> None:
        try:
            while self._suspects:
                group = self._suspects.popleft()
                self._suspected -= len(group)
                self._suspect(await self._commit(group))
        finally:
            del self._workers[worker]

    async def _commit(self, group: list[_Waiter[T, R]]) -> list[list[_Waiter[T, R]]]:
        """Run the group and answer its waiters. If one item is at fault, return the halves, to be run again."""
        try:
            results = await self._run([item for item, _ in group])
            if len(results) != len(group):
                raise RuntimeError(f"{len(results)} results for {len(group)} items")
        except Exception as error:
            if not _concerns_all(error):
                if len(group) > 1:
                    middle = len(group) // 2
                    return [group[:middle], group[middle:]]
                self._remember(group[0][0])
            for _, future in group:
                if not future.done():
                    future.set_exception(error)
        except BaseException:
            for _, future in group:
                future.cancel()
            raise
        else:
            for (item, future), result in zip(group, results, strict=True):
                self._failed.pop(self._name(item), None)
                if not future.done():
                    future.set_result(result)
        return []

    def _remember(self, item: T) -> None:
        self._failed[self._name(item)] = None
        if len(self._failed) > REMEMBERED:
            del self._failed[next(iter(self._failed))]


def _concerns_all(error: Exception) -> bool:
    return is_transient(error)  # CommitUnknown too: it is a ConnectionError
