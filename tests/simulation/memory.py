"""An in-memory database with the guarantees that our transactions rely on: atomic commits, row locks, read committed.

A transaction sees its own writes and the commits of others, as with PostgreSQL. A lock is held until the end; a cycle
of waits raises the server's deadlock error. Sequences are not rolled back. Between two statements other tasks run.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Hashable
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import asyncpg

from tests.simulation.scheduler import Scheduler, Task, pause, wait_until_woken

Key = Hashable
Lock = tuple[str, Key]
GONE = object()


class DatabaseFaults:
    """Faults of the database in this run: how often a statement yields to other tasks, and what fails."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.yields = 0.0  # of each statement
        self.unknown = 0.0  # of each commit: the answer is lost, with either outcome
        self.drops = 0.0  # of each commit: the connection is lost before it
        self._slow_until = 0.0

    def slow_until(self, until: float) -> None:
        """Until that second half of the statements take tens of milliseconds, as under a burst of requests."""
        self._slow_until = until

    async def statement(self) -> None:
        rng = self.scheduler.rng
        if self.scheduler.now < self._slow_until:
            if rng.random() < 0.5:
                await pause(rng.expovariate(20))
        elif self.yields and rng.random() < self.yields:
            await pause(rng.expovariate(300) if rng.random() < 0.98 else rng.uniform(0, 20))


class Database:
    """The committed tables of one service. `on_commit` is called with every transaction that wrote something."""

    def __init__(self, name: str, database_faults: DatabaseFaults, on_commit: Callable[[Transaction], None]) -> None:
        self.name, self.database_faults, self.on_commit = name, database_faults, on_commit
        self.tables: dict[str, dict[Key, Any]] = defaultdict(dict)
        self.sequences: Counter[str] = Counter()
        self.deadlocks = 0
        self.holders: dict[Lock, dict[Transaction, bool]] = {}
        self.waiters: dict[Lock, list[Task]] = defaultdict(list)

    def next(self, sequence: str) -> int:
        """Return the next number of a sequence; it is never reused, even after a rollback."""
        self.sequences[sequence] += 1
        return self.sequences[sequence]


class Reader:
    """Reads committed rows without a transaction; also stands in for a connection pool."""

    def __init__(self, db: Database) -> None:
        self.db = db

    async def statement(self) -> None:
        await self.db.database_faults.statement()

    def get(self, table: str, key: Key) -> Any:
        return self.db.tables[table].get(key)

    def rows(self, table: str) -> dict[Key, Any]:
        return self.db.tables[table]

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Transaction]:
        transaction = Transaction(self.db)
        try:
            yield transaction
        finally:
            transaction.release()

    def terminate(self) -> None:
        """Does nothing; there is no connection."""


class Transaction(Reader):
    """One connection with its transaction; the `conn` of a unit of work. `locked_at`: time at which each lock was
    granted.
    """

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self.writes: dict[str, dict[Key, Any]] = {}
        self.locks: list[Lock] = []
        self.locked_at: dict[Lock, float] = {}
        self.waits_for: Lock | None = None
        self.ended = False

    def transaction(self) -> Transaction:
        return self

    async def start(self) -> None:
        await self.statement()

    def get(self, table: str, key: Key) -> Any:
        own = self.writes.get(table)
        if own is not None and (found := own.get(key)) is not None:
            return None if found is GONE else found
        return self.db.tables[table].get(key)

    def rows(self, table: str) -> dict[Key, Any]:
        own = self.writes.get(table)
        if not own:
            return self.db.tables[table]
        merged = {**self.db.tables[table], **own}
        return {key: row for key, row in merged.items() if row is not GONE}

    def put(self, table: str, key: Key, row: Any) -> None:
        self.writes.setdefault(table, {})[key] = row

    def insert(self, table: str, key: Key, row: Any) -> None:
        """Put a row with a new key. Raises a unique violation."""
        if self.get(table, key) is not None:
            raise asyncpg.UniqueViolationError(f"duplicate key {key} in {table}")
        self.put(table, key, row)

    def delete(self, table: str, key: Key) -> None:
        self.put(table, key, GONE)

    async def lock(self, table: str, key: Key, *, shared: bool = False) -> None:
        """Wait for the row's lock. Raises the server's error on a deadlock."""
        name = (table, key)
        while not self._free(name, shared):
            self.waits_for = name
            if self._deadlocked():
                self.waits_for = None
                self.db.deadlocks += 1
                raise asyncpg.DeadlockDetectedError(f"deadlock at {table} {key}")
            task = self.db.database_faults.scheduler.current
            assert task
            self.db.waiters[name].append(task)
            await wait_until_woken()
        self.waits_for = None
        self._hold(name, shared=shared)

    async def lock_all(self, table: str, keys: Collection[Key]) -> None:
        """Lock rows in the given order."""
        for key in keys:
            await self.lock(table, key)

    def try_lock(self, table: str, key: Key) -> bool:
        """Lock a row unless another transaction holds its lock."""
        if free := self._free((table, key), False):
            self._hold((table, key), shared=False)
        return free

    def _hold(self, name: Lock, *, shared: bool) -> None:
        held = self.db.holders.setdefault(name, {})
        if self not in held:
            self.locks.append(name)
            self.locked_at[name] = self.db.database_faults.scheduler.now
            held[self] = shared
        elif not shared:
            held[self] = False

    def _free(self, name: Lock, shared: bool) -> bool:
        held = self.db.holders.get(name)
        return not held or all(owner is self or (shared and theirs) for owner, theirs in held.items())

    def _deadlocked(self) -> bool:
        visited: set[Transaction] = set()
        path = [self]
        while path:
            waiting = path.pop()
            for owner in self.db.holders.get(waiting.waits_for, {}) if waiting.waits_for else ():
                if owner is self:
                    if waiting is not self:
                        return True
                elif owner not in visited:
                    visited.add(owner)
                    path.append(owner)
        return False

    async def commit(self) -> None:
        rng, database_faults = self.db.database_faults.scheduler.rng, self.db.database_faults
        await self.statement()
        if database_faults.drops and rng.random() < database_faults.drops:
            self.release()
            self._lost()
        self.apply()
        await self.statement()
        if database_faults.unknown and rng.random() < database_faults.unknown:
            self._lost()

    def _lost(self) -> NoReturn:
        raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

    def apply(self) -> None:
        """Commit without faults."""
        self.ended = True
        for table, rows in self.writes.items():
            committed = self.db.tables[table]
            for key, row in rows.items():
                if row is GONE:
                    committed.pop(key, None)
                else:
                    committed[key] = row
        self._unlock()
        if self.writes:
            self.db.on_commit(self)

    async def rollback(self) -> None:
        self.release()

    def release(self) -> None:
        """Roll back, unless it is committed."""
        if not self.ended:
            self.ended = True
            self.writes = {}
            self._unlock()

    def _unlock(self) -> None:
        for name in self.locks:
            held = self.db.holders[name]
            del held[self]
            if not held:
                del self.db.holders[name]
            for task in self.db.waiters.pop(name, ()):
                task.wake()
        self.locks = []

    async def fetch(self, statement: str, *_: Any) -> NoReturn:
        raise AssertionError(f"the simulation has no stand-in for this statement: {statement}")

    fetchrow = fetchval = execute = fetch
