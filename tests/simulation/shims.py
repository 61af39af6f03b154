"""Replacements for the few names of asyncio, random and uuid that our code uses, driven by virtual
time and the seed.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Coroutine
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import uuid_utils

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


class Time:
    """Stand-in for the module `time`; every clock in it is the virtual one."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def monotonic(self) -> float:
        return self._scheduler.now

    time = perf_counter = monotonic

    def time_ns(self) -> int:
        return int(self._scheduler.now * 10**9)


class Asyncio:
    """Stand-in for the module `asyncio` in a module of ours. A task that it creates dies with its process."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    async def sleep(self, seconds: float) -> None:
        await pause(seconds)

    async def wait_for(self, waiting: Awaitable[Any], _timeout: float) -> Any:
        return await waiting  # only wake-ups are awaited this way, and the simulation loses none

    async def gather(self, *coroutines: Coroutine[Any, Any, Any], return_exceptions: bool) -> list[Any]:
        found: list[Any] = []
        for future in [self._begun(coroutine) for coroutine in coroutines]:
            try:
                found.append(await future)
            except Exception as error:
                found.append(error)
        return found

    def _begun(self, coroutine: Coroutine[Any, Any, Any]) -> Future:
        future = Future(self._scheduler)
        self.create_task(coroutine, then=lambda result, error: future.end(result, error))
        return future

    def create_task(self, coroutine: Coroutine[Any, Any, Any], then: Then | None = None, **_: Any) -> Task:
        parent = self._scheduler.current
        task = self._scheduler.spawn(coroutine, "child task", then)
        if parent and (process := getattr(parent, "process", None)):
            process.adopt(task)
        return task

    def get_running_loop(self) -> Any:
        return SimpleNamespace(create_future=lambda: Future(self._scheduler))


class Ids:
    """Stand-in for `uuid_utils`: increasing UUIDv7-like ids, derived from the seed."""

    def __init__(self, rng: random.Random) -> None:
        self._rng, self.count = rng, 0

    uuid5 = staticmethod(uuid_utils.uuid5)

    def uuid7(self) -> UUID:
        self.count += 1
        return UUID(int=(self.count << 80) | (7 << 76) | (2 << 62) | self._rng.getrandbits(60))
