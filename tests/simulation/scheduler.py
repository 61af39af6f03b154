"""Virtual time and the coroutines in it. Nothing sleeps: the clock jumps to the next event."""

from __future__ import annotations

import heapq
import random
import types
from collections.abc import Callable, Coroutine, Generator
from contextvars import copy_context
from datetime import datetime, timedelta
from typing import Any

from services.kit.clock import Clock, Segment

Then = Callable[[Any, BaseException | None], None]


class Killed(BaseException):
    """Thrown into a coroutine of a killed process. No product code may catch it and continue."""


class Stuck(AssertionError):
    """The simulation does not come to an end."""


@types.coroutine
def pause(seconds: float) -> Generator[float, None, None]:
    """Let virtual time pass; other tasks run meanwhile."""
    yield seconds


@types.coroutine
def wait_until_woken() -> Generator[None, None, None]:
    """Wait until another task wakes this one."""
    yield None


class Task:
    """A running coroutine. `wake` resumes it if it waits, otherwise does nothing."""

    __slots__ = ("_context", "_scheduler", "_then", "_ticket", "coroutine", "done", "name", "process")

    def __init__(self, scheduler: Scheduler, coroutine: Coroutine[Any, Any, Any], name: str, then: Then | None) -> None:
        self.coroutine, self.name, self.done = coroutine, name, False
        self.process: Any = None
        self._scheduler, self._then, self._context, self._ticket = scheduler, then, copy_context(), 0

    def wake(self) -> None:
        self._scheduler.after(0, self._resume, self._ticket)

    def resume(self) -> None:
        """Continue it at once."""
        self._resume(self._ticket)

    def _resume(self, ticket: int, error: BaseException | None = None) -> None:
        if self.done or ticket != self._ticket:
            return
        self._ticket += 1
        scheduler = self._scheduler
        outer, scheduler.current = scheduler.current, self
        try:
            step, given = (self.coroutine.throw, error) if error else (self.coroutine.send, None)
            delay = self._context.run(step, given)
        except StopIteration as end:
            self._finish(end.value, None)
        except Killed:
            self.done = True
            scheduler.after(0, self.process.died)
        except Exception as failed:
            self._finish(None, failed)
        else:
            if delay is not None:
                scheduler.after(delay, self._resume, self._ticket)
        finally:
            scheduler.current = outer

    def _finish(self, result: Any, error: BaseException | None) -> None:
        self.done = True
        if self._then:
            self._then(result, error)

    def kill(self) -> None:
        """End it at its current await, as `kill -9` of its process would; its `then` is not called."""
        if self.done:
            return
        self.done = True
        outer, self._scheduler.current = self._scheduler.current, self
        try:
            self._context.run(self.coroutine.throw, Killed())
        except (Killed, StopIteration):
            pass
        else:
            raise Stuck(f"{self.name} continues after its process was killed")
        finally:
            self._scheduler.current = outer


class Scheduler:
    """All future events, ordered by virtual real time in seconds."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.now = 0.0
        self.current: Task | None = None
        self.steps = 0
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0

    def at(self, when: float, call: Callable[..., None], *args: Any) -> None:
        self._count += 1
        heapq.heappush(self._heap, (max(when, self.now), self._count, call, args))

    def after(self, delay: float, call: Callable[..., None], *args: Any) -> None:
        self._count += 1
        heapq.heappush(self._heap, (self.now + delay if delay > 0 else self.now, self._count, call, args))

    def spawn(self, coroutine: Coroutine[Any, Any, Any], name: str, then: Then | None = None) -> Task:
        """Start the coroutine; it runs to its first pause once the caller has returned."""
        task = Task(self, coroutine, name, then)
        task.wake()
        return task

    def begin(self, coroutine: Coroutine[Any, Any, Any], name: str, then: Then) -> None:
        """Run the coroutine to its first pause."""
        Task(self, coroutine, name, then).resume()

    def run(self, limit: int) -> None:
        """Run until no event is left. Raises `Stuck` after `limit` steps."""
        heap = self._heap
        while heap:
            self.now, _, call, args = heapq.heappop(heap)
            self.steps += 1
            if self.steps > limit:
                raise Stuck(f"no rest after {limit} steps")
            call(*args)

    def close(self) -> None:
        """Close the coroutines that have not started."""
        for _, _, call, _ in self._heap:
            if isinstance(task := getattr(call, "__self__", None), Task):
                task.coroutine.close()


class SimClock(Clock):
    """Both clocks of a stack in virtual time; `anchor` is the real instant of second 0."""

    def __init__(self, scheduler: Scheduler, anchor: datetime, start: datetime, speed: float) -> None:
        super().__init__(Segment(anchor, start, speed))
        self.anchor, self.start, self.speed = anchor, start, speed
        self._scheduler = scheduler

    def real(self) -> datetime:
        return self.anchor + timedelta(seconds=self._scheduler.now)

    def second_of(self, business: datetime) -> float:
        """Return the virtual second of a business instant."""
        return (business - self.start).total_seconds() / self.speed

    def business_at(self, second: float) -> datetime:
        """Return the business time at a virtual second."""
        return self.start + timedelta(seconds=second) * self.speed

    def second_of_real(self, real: datetime) -> float:
        """Return the virtual second of a real instant."""
        return (real - self.anchor).total_seconds()
