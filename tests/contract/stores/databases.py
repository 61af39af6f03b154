"""A database of one service for a contract suite, in PostgreSQL or in memory, which opens the service's store."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

from services.dispatch.app import SERVICE as DISPATCH
from services.inventory.app import SERVICE as INVENTORY
from services.kit.database import Pool
from services.orders.app import SERVICE as ORDERS
from tests.simulation.memory import Database, DatabaseFaults, Reader, Transaction
from tests.simulation.scheduler import Scheduler
from tests.simulation.stores import STORES
from tests.stack import eventually

T = TypeVar("T")
SERVICES = {service.name: service for service in (ORDERS, INVENTORY, DISPATCH)}


class StoreDatabase(Protocol):
    """An empty database of one service. Several transactions may be open at once."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """Open a transaction and return its store: commits at the end of the block, rolls back on an error."""
        yield

    @property
    def reader(self) -> Any:
        """The store over the pool, which reads what is committed."""

    async def waits(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start work that has to wait for a lock; return it once it waits. Fails where it ends without."""
        raise NotImplementedError


class MemoryDatabase(StoreDatabase):
    """The tables in memory of the simulation, without its faults and its virtual time."""

    def __init__(self, service: str, open_store: Callable[[Any], Any] | None = None) -> None:
        scheduler = Scheduler(random.Random(0))
        scheduler.current = _PollingTask()  # type: ignore[assignment]
        self._open = open_store or STORES[service]
        self._database = Database(service, DatabaseFaults(scheduler), lambda _: None)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """Open a transaction."""
        transaction = Transaction(self._database)
        try:
            yield self._open(transaction)
            await transaction.commit()
        finally:
            transaction.release()

    @property
    def reader(self) -> Any:
        """The store over the committed rows."""
        return self._open(Reader(self._database))

    async def waits(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start work that has to wait for a lock."""
        return await _waiting(asyncio.create_task(work), lambda: any(self._database.waiters.values()))


class _PollingTask:
    """A task of the simulation's scheduler on a real event loop: a waiting task tries its lock at each step of it."""

    def wake(self) -> None:
        """Does nothing."""


class PostgresDatabase(StoreDatabase):
    """A migrated PostgreSQL database."""

    def __init__(self, service: str, pool: Pool, open_store: Callable[[Any], Any] | None = None) -> None:
        self._open, self._pool = open_store or SERVICES[service].store, pool

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """Open a transaction."""
        async with self._pool.acquire() as conn, conn.transaction():
            yield self._open(conn)

    @property
    def reader(self) -> Any:
        """The store over the pool."""
        return self._open(self._pool)

    async def waits(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start work that has to wait for a lock."""
        waiting = (
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        )
        return await _waiting(asyncio.create_task(work), lambda: self._pool.fetchval(waiting))


async def _waiting(task: asyncio.Task[T], condition: Callable[[], Any]) -> asyncio.Task[T]:
    async def waits_or_ended() -> bool:
        found = condition()
        return bool(await found if asyncio.iscoroutine(found) else found) or task.done()

    await eventually(waits_or_ended, what="the work waits for a lock")
    assert not task.done(), "the work did not wait for a lock"
    return task
