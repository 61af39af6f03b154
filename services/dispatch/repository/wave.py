"""The repository of a transaction: the orders, waves and jobs that it works on.

Locks are taken in the order that `store` gives. However many messages a batch has, `load` and `save` take a constant
number of statements.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

from contracts.events.catalog import CatalogEvent, ItemPut, MarketDayPut
from contracts.events.dispatch import DispatchCommand
from services.dispatch.domain.catalog import Catalog, catalog_key
from services.dispatch.domain.courier import Attempt, Evidence
from services.dispatch.domain.job.job import Job, JobState, new_job
from services.dispatch.domain.job.state_machine import JobDecision
from services.dispatch.domain.recipient import Recipient
from services.dispatch.domain.wave import Wave
from services.dispatch.planning.plan import Plan
from services.dispatch.repository.load_set import LoadSet
from services.dispatch.repository.store import Changes, PlanRow, WaveStore
from services.kit.context import Context
from services.kit.transaction.identity_map import IdentityMap
from services.kit.transaction.message import Message
from services.kit.transaction.unit_of_work import UnitOfWork


class WaveRepository:
    """The rows that one transaction has loaded and changed; `job_counts` are the jobs of each locked wave."""

    def __init__(self, uow: UnitOfWork) -> None:
        self.uow = uow
        self.store: WaveStore = uow.store
        self.catalog = Catalog({})
        self.recipients: IdentityMap[UUID, Recipient] = IdentityMap(lambda recipient: recipient.order)
        self.waves: IdentityMap[str, Wave] = IdentityMap(lambda wave: wave.id)
        self.jobs: IdentityMap[UUID, Job] = IdentityMap(lambda job: job.id)
        self.job_counts: Counter[str] = Counter()
        self._entries: dict[str, CatalogEvent] = {}
        self._plans: list[PlanRow] = []
        self._attempts: list[Attempt] = []
        self._evidence: list[Evidence] = []
        self._erased: set[UUID] = set()

    async def load(self, messages: Sequence[Message[Any]]) -> None:
        """Lock and read the rows that the messages need, and the incomplete jobs that wait for what they bring."""
        keys, store = LoadSet.of(messages), self.store
        # A job that finds an entry missing, and the entry that finds no waiting job, must not run at the same time.
        await store.lock_catalog(exclusive=bool(keys.entries))
        if keys.entries:
            keys.orders.update(await store.orders_waiting_for(keys.entries))
        self.recipients.load(await store.lock_orders(keys.orders))
        keys.market_days.update(await store.incomplete_market_days(keys.orders))
        await self.lock_waves(keys.waves, keys.market_days)
        self.jobs.load(await store.lock_jobs_of_orders(keys.orders))
        keys.items.update(line.item for job in self.jobs.values() if job.waits for line in job.lines)
        await self._read_catalog({catalog_key(ItemPut, item) for item in keys.items}, keys.market_days)

    async def lock_waves(self, ids: Collection[str], market_days: Collection[str] = ()) -> None:
        """Lock these waves and all waves of these market days, and count the jobs of each."""
        self.waves.load(await self.store.lock_waves(ids, market_days))
        for wave, jobs in (await self.store.count_jobs(list(self.waves))).items():
            self.job_counts[wave] = jobs

    async def lock_jobs(self, ids: Collection[UUID]) -> None:
        """Lock these jobs."""
        self.jobs.load(await self.store.lock_jobs(ids))

    async def lock_jobs_of_waves(self, waves: Collection[str]) -> None:
        """Lock the jobs of these waves, and the jobs that wait for their plans."""
        self.jobs.load(await self.store.lock_jobs_of_waves(waves))

    async def lock_plan(self, wave: Wave) -> None:
        """Lock and read all that a plan of the wave may change: the waves of its market day, the wave's jobs."""
        await self.lock_waves([wave.id], [wave.market_day])
        await self.lock_jobs_of_waves([wave.id])
        await self._read_catalog((), [wave.market_day])

    async def _read_catalog(self, keys: Collection[str], market_days: Collection[str]) -> None:
        self.catalog = await self.store.read_catalog([*keys, *(catalog_key(MarketDayPut, day) for day in market_days)])

    async def read_recipients(self, orders: Collection[UUID]) -> None:
        """Read recipients without locking them, for reports about jobs that are locked."""
        self.recipients.load(await self.store.read_recipients(orders))

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
        self._entries[entry.key] = entry

    def add_plan(self, wave: Wave, plan: Plan) -> None:
        """Record the plan of this version of the wave."""
        self._plans.append(PlanRow(wave.id, wave.version, plan, self.uow.now))

    def add_attempt(self, attempt: Attempt) -> None:
        """Record a delivery attempt."""
        self._attempts.append(attempt)

    def add_evidence(self, evidence: Evidence) -> None:
        """Record a courier's report and its verdict."""
        self._evidence.append(evidence)

    async def save(self) -> None:
        """Write every change, one statement a table, in the order of the locks."""
        await self.store.save(
            Changes(
                entries=self._entries.values(),
                recipients=self.recipients.changed,
                waves=self.waves.changed,
                jobs=self.jobs.changed,
                plans=self._plans,
                attempts=self._attempts,
                evidence=self._evidence,
                erased=self._erased,
            )
        )


@asynccontextmanager
async def transaction(context: Context) -> AsyncIterator[WaveRepository]:
    """Open a transaction with its repository, and save the repository before COMMIT."""
    async with context.unit() as uow:
        repository = WaveRepository(uow)
        yield repository
        await repository.save()
