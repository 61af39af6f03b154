"""Runs every piece of work twice, on the in-memory tables and on a real PostgreSQL, and compares the results.

So the replacements for our SQL are tested on the cases that the simulation uses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from deploy.scenarios.actors.client import Answer
from services.dispatch.repository import PostgresWaves, WaveRepository
from services.inventory.repository.postgres import PostgresStock
from services.kit.context import Context
from services.kit.http.group_commit import GroupCommit
from services.kit.http.problems import Problem
from services.kit.transaction import deadlines, outbox
from services.kit.transaction.deadlines import Deadline
from services.kit.transaction.outbox import Row
from services.kit.transaction.ports import Ports
from services.kit.transaction.unit_of_work import begin
from services.orders.repository.postgres import PostgresStore
from tests.simulation import seams
from tests.simulation.invariant import check_invariant
from tests.simulation.memory import GONE, Database, Transaction
from tests.simulation.processes import SETTINGS, Process, Work
from tests.simulation.run import SERVICES, Run

Pool = "asyncpg.Pool[asyncpg.Record]"
SAME = "memory and PostgreSQL agree"
FAR = datetime(2100, 1, 1, tzinfo=UTC)


def same(real: Any, memory: Any) -> None:
    """Check equality; name the first difference."""
    if isinstance(real, list) and isinstance(memory, list):
        for one, other in zip(real, memory, strict=False):
            check_invariant(one == other, SAME, f"PostgreSQL {one}, memory {other}")
    check_invariant(real == memory, SAME, f"PostgreSQL {real}, memory {memory}")


class RealProcess:
    """A process with the real database behind it."""

    def __init__(self, process: Process, pool: Any) -> None:
        self.service, self.memo = process.service, dict[str, Any]()
        ports = replace(process.world.ports(process.service), store=process.service.store)
        self.context = Context(SETTINGS, ports, pool, lambda: None, process.service.name)
        self.processors = self.service.processors(self.context)

    def part(self, n: int) -> Any:
        return self.processors[n]


class Mirror:
    """Runs the work of a run's processes on both; `pools` are migrated, empty databases by service."""

    def __init__(self, run: Run, pools: dict[str, Any], runner: asyncio.Runner) -> None:
        self.run, self.pools, self.runner = run, pools, runner
        self.compared = 0
        self._real = [(owner, name, getattr(owner, name)) for owner, name, _ in seams.TABLES]
        self._twins: dict[tuple[str, int], RealProcess] = {}
        self._published: list[Row] = []
        self._submit = GroupCommit.submit
        run.world.mirror = self
        for db in run.dbs.values():
            db.on_commit = self._record_outbox(db.on_commit)

    def _record_outbox(self, before: Callable[[Transaction], None]) -> Callable[[Transaction], None]:
        def committed(transaction: Transaction) -> None:
            written = transaction.writes.get("outbox", {}).values()
            self._published += [row for row in written if row is not GONE]
            before(transaction)

        return committed

    async def do(self, process: Process, work: Work) -> Any:
        """Return the work's outcome in memory, after the real database gave the same."""
        before = self._random_state()
        self._published = []
        in_memory, error = await _outcome(work(process))
        after = self._random_state()
        self._rewind(before)
        real, problem = self._run_on_postgres(process, work)
        outcomes = f"PostgreSQL {real!r:.300} {problem!r}, memory {in_memory!r:.300} {error!r}"
        check_invariant(self._random_state()[1:] == after[1:], SAME, f"different ids or codes were made: {outcomes}")
        self._rewind(after)
        same(_plain(real, problem), _plain(in_memory, error))
        self._compare(process.service.name)
        if error:
            raise error
        return in_memory

    def _random_state(self) -> tuple[Any, ...]:
        run = self.run
        return run.rng.getstate(), run.codes_rng.getstate(), run.world.ids.count

    def _rewind(self, state: tuple[Any, ...]) -> None:
        run = self.run
        run.rng.setstate(state[0])
        run.codes_rng.setstate(state[1])
        run.world.ids.count = state[2]

    def _run_on_postgres(self, process: Process, work: Work) -> tuple[Any, BaseException | None]:
        key = (process.name, process.lives)
        twin = self._twins.setdefault(key, RealProcess(process, self.pools[process.service.name]))
        with seams.installed(self._real):
            return self.runner.run(_outcome(work(twin)))  # type: ignore[arg-type]

    def _compare(self, service: str) -> None:
        pool = self.pools[service]
        with seams.installed(self._real):
            read_back = self.runner.run(outbox.OutboxTable(pool).page(10**6))
        self.runner.run(pool.execute("delete from outbox"))
        same([_content(row) for row in read_back], [_content(row) for row in self._published])
        self.compared += len(read_back)

    def compare_tables(self) -> None:
        """Compare the rows themselves at the end, as our own repositories read them."""
        with seams.installed(self._real):
            self.runner.run(self._orders())
            self.runner.run(self._inventory())
            self.runner.run(self._dispatch())
            for service in SERVICES:
                self.runner.run(self._deadlines(service.name))

    async def _orders(self) -> None:
        tables: Any = self.run.dbs["orders"].tables
        store = PostgresStore(self.pools["orders"])
        same(await store.find_orders(tables["orders"]), tables["orders"])
        same(await store.find_campaigns(tables["campaign"]), tables["campaign"])
        same(await store.find_joins(tables["campaign_join"]), tables["campaign_join"])

    async def _inventory(self) -> None:
        db, store = self.run.dbs["inventory"], PostgresStock(self.pools["inventory"])
        same(_sorted(await store.read_stock(list(db.tables["stock"]))), _sorted(db.tables["stock"].values()))
        same(_sorted(await store.read_lots([], list(db.tables["lot"]))), _sorted(db.tables["lot"].values()))
        ids = list(db.tables["reservation"])
        same(
            _sorted(await store.read_reservations(ids)),
            _sorted(r for r, _ in db.tables["reservation"].values()),
        )
        lent = {(terminal, where) for terminal, where, _ in db.tables["allotment"]}  # type: ignore[misc]
        same(_sorted(await store.read_allotments(lent)), _sorted(db.tables["allotment"].values()))
        moves = {cause: [one.move for one in movements] for cause, movements in db.tables["movement"].items()}
        same(await store.read_history(list(moves)), moves)  # type: ignore[arg-type]

    async def _dispatch(self) -> None:
        db = self.run.dbs["dispatch"]
        async with begin(self.pools["dispatch"], Ports(self.run.world.clock, PostgresWaves), consumer="test") as uow:
            repository = WaveRepository(uow)
            await repository.lock_waves(list(db.tables["wave"]))
            await repository.lock_jobs(list(db.tables["job"]))
            await repository.read_recipients(list(db.tables["recipient"]))
        same(dict(repository.waves), db.tables["wave"])
        same(dict(repository.jobs), db.tables["job"])
        same(dict(repository.recipients), db.tables["recipient"])

    async def _deadlines(self, service: str) -> None:
        db: Database = self.run.dbs[service]
        found = await deadlines.DeadlineTable(self.pools[service]).overdue(FAR, FAR, 10**6)
        same(_sorted(map(_unnumbered, found)), _sorted(map(_unnumbered, db.tables["deadline"].values())))


def direct_submit(self: GroupCommit[Any, Any], item: Any) -> Any:
    """Group commit with groups of one, so that a request's work ends with the request."""

    async def alone() -> Any:
        return (await self._run([item]))[0]

    return alone()


async def _outcome(work: Any) -> tuple[Any, BaseException | None]:
    try:
        return await work, None
    except Exception as error:
        return None, error


def _content(row: Row) -> Any:
    return row.topic, row.key, row.subject, row.event_id, row.headers, row.payload


def _plain(result: Any, error: BaseException | None) -> Any:
    """Return the comparable part of an outcome. Read-only pages are left out: the replacements only serve decisions."""
    if isinstance(error, Problem):
        return error.status, error.code, error.detail
    assert error is None, error
    match result:
        case Answer(body={"stops": stops}):
            return [{name: stop[name] for name in ("job", "order", "state", "epoch")} for stop in stops]
        case Answer():
            return result
        case _:
            return getattr(result, "body", b"")


def _unnumbered(deadline: Deadline) -> Deadline:
    return replace(deadline, token=0)


def _sorted(found: Any) -> list[Any]:
    return sorted(found, key=str)
