"""Ports of a process: what it takes from its surroundings, so that a test or a simulation can give its own."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from uuid import UUID

from services.kit import faults, ids
from services.kit.clock import Clock

T = TypeVar("T")


class Tasks(Protocol):
    """Concurrency as `asyncio` has it: tasks, futures and waits."""

    async def sleep(self, seconds: float, /) -> Any:
        """Let other tasks run for so many seconds."""

    def spawn(self, work: Coroutine[Any, Any, None], *, context: Context | None = None) -> Awaitable[None]:
        """Run the coroutine as a task of its own; the caller keeps the task."""

    def future(self) -> asyncio.Future[Any]:
        """Return a future of the running loop."""

    async def both(self, one: Awaitable[Any], other: Awaitable[Any]) -> list[Any]:
        """Run both at the same time; return their results, or the error in place of a result."""

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Return when the event is set, or after so many seconds."""


class AsyncioTasks:
    """`Tasks` on the running event loop."""

    sleep = staticmethod(asyncio.sleep)

    def spawn(self, work: Coroutine[Any, Any, None], *, context: Context | None = None) -> Awaitable[None]:
        """Run the coroutine as a task of its own; the caller keeps the task."""
        return asyncio.create_task(work, context=context)

    def future(self) -> asyncio.Future[Any]:
        """Return a future of the running loop."""
        return asyncio.get_running_loop().create_future()

    async def both(self, one: Awaitable[Any], other: Awaitable[Any]) -> list[Any]:
        """Run both at the same time; return their results, or the error in place of a result."""
        return list(await asyncio.gather(one, other, return_exceptions=True))

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Return when the event is set, or after so many seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), seconds)


@dataclass(frozen=True, slots=True)
class Ports:
    """Time, tasks, randomness, ids, crash points and tables of one process; the defaults are the real ones.

    - `clock`: business and wall-clock time; `monotonic`: seconds, for limits on waiting;
    - `store`: opens the service's tables over a connection or pool (`Service.store`);
    - `tables`: other implementations of the kit's tables, by the class of the table in PostgreSQL;
    - `random`: jitter of retries; `token_bytes`: secrets, such as an order's code; `new_id`: UUIDv7 of new rows;
    - `crash_point`: carries out the fault planned for a named point; true only when the caller drops its next step.
    """

    clock: Clock
    store: Callable[[Any], Any] = lambda _conn: None
    tables: Mapping[type, Callable[[Any], Any]] = field(default_factory=dict)
    monotonic: Callable[[], float] = time.monotonic
    tasks: Tasks = field(default_factory=AsyncioTasks)
    random: random.Random = field(default_factory=random.Random)
    token_bytes: Callable[[int], bytes] = secrets.token_bytes
    new_id: Callable[[], UUID] = ids.new_id
    crash_point: Callable[[str], bool] = faults.point

    def table(self, kind: type[T], conn: Any) -> T:
        """Open a table of the kit over a connection or pool."""
        found: T = self.tables.get(kind, kind)(conn)
        return found
