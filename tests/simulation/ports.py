"""The ports of time, tasks and ids, driven by virtual time and the seed."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Coroutine
from typing import Any
from uuid import UUID

from tests.simulation.scheduler import Scheduler, Task, Then, pause, wait_until_woken


class Event:
    """An `asyncio.Event` with one waiting task at a time."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler, self._set = scheduler, False
        self._waiting: list[Task] = []

    def set(self) -> None:
        self._set = True
        waiting, self._waiting = self._waiting, []
        for task in waiting:
            task.wake()

    def clear(self) -> None:
        self._set = False

    async def wait(self) -> None:
        while not self._set:
            assert self._scheduler.current
            self._waiting.append(self._scheduler.current)
            await wait_until_woken()


class Future:
    """An `asyncio.Future` as far as group commit uses it."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._event = Event(scheduler)
        self._result: Any = None
        self._error: BaseException | None = None
        self._done = False

    def done(self) -> bool:
        return self._done

    def set_result(self, result: Any) -> None:
        self._result, self._done = result, True
        self._event.set()

    def set_exception(self, error: BaseException) -> None:
        self._error, self._done = error, True
        self._event.set()

    def end(self, result: Any, error: BaseException | None) -> None:
        self.set_exception(error) if error else self.set_result(result)

    def cancel(self) -> None:
        self._done = True

    def __await__(self) -> Any:
        yield from self._event.wait().__await__()
        if self._error:
            raise self._error
        return self._result


class Tasks:
    """The port `Tasks` in virtual time. A task that it starts dies with its process."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    async def sleep(self, seconds: float) -> None:
        await pause(seconds)

    def spawn(self, work: Coroutine[Any, Any, Any], then: Then | None = None, **_: Any) -> Any:
        parent = self._scheduler.current
        task = self._scheduler.spawn(work, "child task", then)
        if parent and (process := getattr(parent, "process", None)):
            process.adopt(task)
        return task

    def future(self) -> Any:
        return Future(self._scheduler)

    async def both(self, one: Awaitable[Any], other: Awaitable[Any]) -> list[Any]:
        found: list[Any] = []
        for future in [self._begun(one), self._begun(other)]:
            try:
                found.append(await future)
            except Exception as error:
                found.append(error)
        return found

    def _begun(self, work: Any) -> Future:
        future = Future(self._scheduler)
        self.spawn(work, lambda result, error: future.end(result, error))
        return future

    async def wait(self, event: Any, _seconds: float) -> None:
        await event.wait()  # only wake-ups are awaited this way, and the simulation loses none


class Ids:
    """Increasing UUIDv7-like ids, derived from the seed."""

    def __init__(self, rng: random.Random) -> None:
        self._rng, self.count = rng, 0

    def new_id(self) -> UUID:
        self.count += 1
        return UUID(int=(self.count << 80) | (7 << 76) | (2 << 62) | self._rng.getrandbits(60))
