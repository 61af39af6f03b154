"""The repository of a transaction: the orders, waves and jobs that it works on.

Locks are taken in one order everywhere: catalogue, orders (their recipient rows), waves, jobs, each sorted by key.
However many messages a batch has, `load` and `save` take a constant number of statements.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

from contracts.events.catalog import CatalogEvent, ItemPut, MarketDayPut, SitePut, StationPut
from contracts.events.dispatch import DispatchCommand
from services.dispatch.domain.catalog import Catalog, catalog_key
from services.dispatch.domain.courier import Attempt, Evidence
from services.dispatch.domain.job.job import Job, JobState, new_job
from services.dispatch.domain.job.state_machine import JobDecision
from services.dispatch.domain.recipient import Recipient
from services.dispatch.domain.wave import Wave, plan_key
from services.dispatch.planning.plan import Plan
from services.dispatch.repository import erasure, rows, statements
from services.dispatch.repository.load_set import LoadSet
from services.kit.context import Context
from services.kit.transaction.identity_map import IdentityMap
from services.kit.transaction.message import Message
from services.kit.transaction.unit_of_work import UnitOfWork

_CATALOG_LOCK = 7_100_001
"""The key of the advisory lock on the catalogue; no other lock of this database uses it."""


class WaveRepository:
    """The rows that one transaction has loaded and changed; `job_counts` are the jobs of each locked wave."""

    def __init__(self, uow: UnitOfWork) -> None:
        self.uow = uow
        self.catalog = Catalog({})
        self.recipients: IdentityMap[UUID, Recipient] = IdentityMap(lambda recipient: recipient.order)
        self.waves: IdentityMap[str, Wave] = IdentityMap(lambda wave: wave.id)
        self.jobs: IdentityMap[UUID, Job] = IdentityMap(lambda job: job.id)
        self.job_counts: Counter[str] = Counter()
        self._entries: dict[str, rows.CatalogRow] = {}
        self._plans: list[rows.PlanRow] = []
        self._attempts: list[Attempt] = []
        self._evidence: list[Evidence] = []
        self._erased: set[UUID] = set()

    async def load(self, messages: Sequence[Message[Any]]) -> None:
        """Lock and read the rows that the messages need, and the incomplete jobs that wait for what they bring."""
        keys = LoadSet.of(messages)
        await self._lock_catalog(keys.entries)
        if keys.entries:
            waiting = await self.uow.conn.fetch(
                "select \"order\" from job where state = 'incomplete' and waits && $1::text[]", sorted(keys.entries)
            )
            keys.orders.update(row["order"] for row in waiting)
        await self.lock_orders(keys.orders)
        waiting = await self.uow.conn.fetch(
            "select distinct market_day from job where state = 'incomplete' and \"order\" = any($1::uuid[])",
            list(keys.orders),
        )
        keys.market_days.update(row["market_day"] for row in waiting)
        await self.lock_waves(keys.waves, keys.market_days)
        await self.lock_jobs_of_orders(keys.orders)
        keys.items.update(line.item for job in self.jobs.values() if job.waits for line in job.lines)
        await self.read_catalog({catalog_key(ItemPut, item) for item in keys.items}, keys.market_days)

    async def _lock_catalog(self, changed: Collection[str]) -> None:
        # A job that finds an entry missing, and the entry that finds no waiting job, must not run at the same time.
        lock = "pg_advisory_xact_lock" if changed else "pg_advisory_xact_lock_shared"
        await self.uow.conn.execute(f"select {lock}($1)", _CATALOG_LOCK)

    async def lock_orders(self, orders: Collection[UUID]) -> None:
        """Lock the head rows of the orders, and insert those that do not exist yet."""
        conn, ids = self.uow.conn, list(orders)
        await conn.execute(
            'insert into recipient ("order") select id from unnest($1::uuid[]) as id order by id '
            "on conflict do nothing",
            ids,
        )
        found = await conn.fetch(
            'select * from recipient where "order" = any($1::uuid[]) order by "order" for update', ids
        )
        self.recipients.load(map(rows.recipient_of, found))

    async def lock_waves(self, ids: Collection[str], market_days: Collection[str] = ()) -> None:
        """Lock these waves and all waves of these market days, and count the jobs of each."""
        found = await self.uow.conn.fetch(
            "select * from wave where id = any($1::text[]) or market_day = any($2::text[]) order by id for update",
            list(ids),
            list(market_days),
        )
        self.waves.load(map(rows.wave_of, found))
        for row in await self.uow.conn.fetch(
            "select wave, count(*) as jobs from job where wave = any($1::text[]) group by wave", list(self.waves)
        ):
            self.job_counts[row["wave"]] = row["jobs"]

    async def lock_jobs(self, ids: Collection[UUID]) -> None:
        """Lock these jobs."""
        await self._lock_jobs("id = any($1::uuid[])", list(ids))

    async def lock_jobs_of_orders(self, orders: Collection[UUID]) -> None:
        """Lock the jobs of these orders."""
        await self._lock_jobs('"order" = any($1::uuid[])', list(orders))

    async def lock_jobs_of_waves(self, waves: Collection[str]) -> None:
        """Lock the jobs of these waves, and the jobs that wait for their plans."""
        where = f"wave = any($1::text[]) or ({statements.WAITS_FOR_PLAN} and waits[1] = any($2::text[]))"
        await self._lock_jobs(where, list(waves), list(map(plan_key, waves)))

    async def lock_plan(self, wave: Wave) -> None:
        """Lock and read all that a plan of the wave may change: the waves of its market day, the wave's jobs."""
        await self.lock_waves([wave.id], [wave.market_day])
        await self.lock_jobs_of_waves([wave.id])
        await self.read_catalog((), [wave.market_day])

    async def _lock_jobs(self, where: str, *keys: list[Any]) -> None:
        found = await self.uow.conn.fetch(f"select * from job where {where} order by id for update", *keys)  # noqa: S608
        self.jobs.load(map(rows.job_of, found))

    async def read_catalog(self, keys: Collection[str], market_days: Collection[str]) -> None:
        """Read these entries, these market days, and all sites and stations, as far as they have arrived."""
        wanted = [*keys, *(catalog_key(MarketDayPut, day) for day in market_days)]
        found = await self.uow.conn.fetch(
            "select key, type, body from catalog where key = any($1::text[]) or type = any($2::text[])",
            wanted,
            [SitePut.TYPE, StationPut.TYPE],
        )
        self.catalog = rows.catalog_of(found)

    async def read_recipients(self, orders: Collection[UUID]) -> None:
        """Read recipients without locking them, for reports about jobs that are locked."""
        found = await self.uow.conn.fetch('select * from recipient where "order" = any($1::uuid[])', list(orders))
        self.recipients.load(map(rows.recipient_of, found))

    def job_for(self, command: DispatchCommand) -> Job:
        """Return the job that a command names; a `NEW` one if it is not known."""
        fresh = new_job(command)
        return self.jobs.get(fresh.id, fresh)

    def apply(self, decision: JobDecision) -> Job:
        """Record the decided job and queue its events; return the job."""
        before, job = self.jobs.get(decision.job.id), decision.job
        if before != job and job.state is not JobState.NEW:
            self.job_counts.subtract([before.slot.wave] if before and before.slot else [])
            self.job_counts.update([job.slot.wave] if job.slot else [])
            self.jobs.put(job)
        for event in decision.events:
            self.uow.emit(event)
        return job

    def update(self, job: Job, **changes: Any) -> Job:
        """Record fields of a job that became known without an event; return the job."""
        return self.apply(JobDecision(replace(job, **changes)))

    def put_recipient(self, recipient: Recipient) -> None:
        """Record the person of an order; an erased one also erases the notes of couriers about the order."""
        self.recipients.put(recipient)
        if recipient.erased:
            self.erase_notes(recipient.order)

    def erase_notes(self, order: UUID) -> None:
        """Erase what couriers wrote about an order, when the transaction is saved."""
        self._erased.add(order)

    def put_entry(self, entry: CatalogEvent) -> None:
        """Record a catalogue entry."""
        self.catalog = Catalog({**self.catalog.entries, entry.key: entry})
        self._entries[entry.key] = rows.CatalogRow(entry.key, entry.TYPE, entry.model_dump(mode="json"))

    def add_plan(self, wave: Wave, plan: Plan) -> None:
        """Record the plan of this version of the wave."""
        self._plans.append(rows.PlanRow(wave.id, wave.version, plan, self.uow.now))

    def add_attempt(self, attempt: Attempt) -> None:
        """Record a delivery attempt."""
        self._attempts.append(attempt)

    def add_evidence(self, evidence: Evidence) -> None:
        """Record a courier's report and its verdict."""
        self._evidence.append(evidence)

    async def save(self) -> None:
        """Write every change, one statement a table, in the order of the locks."""
        changes: dict[str, Sequence[Any]] = {
            statements.CATALOG: list(self._entries.values()),
            statements.RECIPIENT: self.recipients.changed,
            statements.WAVE: self.waves.changed,
            statements.JOB: list(map(rows.job_row, self.jobs.changed)),
            statements.PLAN: self._plans,
            statements.ATTEMPT: self._attempts,
            statements.EVIDENCE: self._evidence,
        }
        for statement, changed in changes.items():
            if changed:
                await self.uow.conn.execute(statement, rows.to_json(changed))
        if self._erased:
            await erasure.erase_notes(self.uow.conn, self._erased)


@asynccontextmanager
async def transaction(context: Context) -> AsyncIterator[WaveRepository]:
    """Open a transaction with its repository, and save the repository before COMMIT."""
    async with context.unit() as uow:
        repository = WaveRepository(uow)
        yield repository
        await repository.save()
