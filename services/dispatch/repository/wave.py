"""The book of dispatch: the orders, waves and jobs that one transaction touches.

Locks are taken in one order everywhere: catalogue, orders (their recipient rows), waves, jobs, each sorted by key.
However many messages a batch has, `load` and `save` take a constant number of statements.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from contracts.events.catalog import CatalogEvent, ItemPut, MarketDayPut, SitePut, StationPut
from contracts.events.dispatch import DispatchCommand, ScheduleDelivery
from contracts.events.orders import RecipientPut
from services.dispatch.domain.catalog import Catalog, key_of
from services.dispatch.domain.delivery import Attempt, Evidence, Recipient
from services.dispatch.domain.job import Job, JobState, new_job
from services.dispatch.domain.state_machine import JobDecision
from services.dispatch.domain.wave import Wave, plan_of
from services.dispatch.planning.plan import Plan
from services.dispatch.repository import erasure, rows, tables
from services.kit.transaction.message import DeadlineReached, Erased, Message
from services.kit.transaction.unit_of_work import UnitOfWork

_CATALOG_LOCK = 7_100_001  # of advisory locks; any number that nobody else in this database takes


@dataclass(slots=True)
class LoadSet:
    """What a batch of messages is about."""

    changed: set[str] = field(default_factory=set)
    orders: set[UUID] = field(default_factory=set)
    market_days: set[str] = field(default_factory=set)
    waves: set[str] = field(default_factory=set)
    items: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, messages: Iterable[Message[Any]]) -> LoadSet:
        """The need of the messages, in no particular order."""
        need = cls()
        for message in messages:
            match message.data:
                case MarketDayPut() as day:
                    need.changed.add(day.key)
                    need.market_days.add(day.id)
                    need.waves.update(terms.id for terms in day.waves)
                case CatalogEvent() as entry:
                    need.changed.add(entry.key)
                case ScheduleDelivery() as ask:
                    need.orders.add(ask.order)
                    need.market_days.add(ask.market_day)
                    need.items.update(line.item for line in ask.lines)
                case DispatchCommand() | RecipientPut() as about:
                    need.orders.add(about.order)
                case Erased(key):
                    need.orders.add(UUID(key))
                case DeadlineReached(subject=wave):
                    need.waves.add(wave)
        return need


class WaveRepository:
    """What one transaction knows and has changed. `quote_key` verifies promises; without one none is."""

    def __init__(self, uow: UnitOfWork, quote_key: bytes | None) -> None:
        self.uow = uow
        self.quote_key = quote_key
        self.catalog = Catalog({})
        self.recipients: dict[UUID, Recipient] = {}
        self.waves: dict[str, Wave] = {}
        self.taken: Counter[str] = Counter()
        self.jobs: dict[UUID, Job] = {}
        self._changed: dict[str, dict[Any, Any]] = {}
        self._forgotten: set[UUID] = set()

    async def load(self, messages: Sequence[Message[Any]]) -> None:
        """Locks and reads what the messages need, and the incomplete jobs that wait for what they bring."""
        need = LoadSet.of(messages)
        await self._lock_catalog(need.changed)
        if need.changed:
            waiting = await self.uow.conn.fetch(
                "select \"order\" from job where state = 'incomplete' and waits && $1::text[]", sorted(need.changed)
            )
            need.orders.update(row["order"] for row in waiting)
        await self.lock_orders(need.orders)
        waiting = await self.uow.conn.fetch(
            "select distinct market_day from job where state = 'incomplete' and \"order\" = any($1::uuid[])",
            list(need.orders),
        )
        need.market_days.update(row["market_day"] for row in waiting)
        await self.lock_waves(need.waves, need.market_days)
        await self.lock_jobs('"order"', need.orders)
        need.items.update(line.item for job in self.jobs.values() if job.waits for line in job.lines)
        await self.read_catalog({key_of(ItemPut, item) for item in need.items}, need.market_days)

    async def _lock_catalog(self, changed: Collection[str]) -> None:
        # A job that finds an entry missing and the entry that finds no job waiting must not miss each other.
        lock = "pg_advisory_xact_lock" if changed else "pg_advisory_xact_lock_shared"
        await self.uow.conn.execute(f"select {lock}($1)", _CATALOG_LOCK)

    async def lock_orders(self, orders: Collection[UUID]) -> None:
        """Locks the head rows of the orders, making those that are not there yet."""
        conn, ids = self.uow.conn, list(orders)
        await conn.execute(
            'insert into recipient ("order") select id from unnest($1::uuid[]) as id order by id '
            "on conflict do nothing",
            ids,
        )
        for row in await conn.fetch(
            'select * from recipient where "order" = any($1::uuid[]) order by "order" for update', ids
        ):
            self.recipients[row["order"]] = rows.recipient_of(row)

    async def lock_waves(self, ids: Collection[str], market_days: Collection[str] = ()) -> None:
        """Locks these waves and all of these market days, and counts the jobs that each has."""
        for row in await self.uow.conn.fetch(
            "select * from wave where id = any($1::text[]) or market_day = any($2::text[]) order by id for update",
            list(ids),
            list(market_days),
        ):
            self.waves[row["id"]] = rows.wave_of(row)
        for row in await self.uow.conn.fetch(
            "select wave, count(*) as jobs from job where wave = any($1::text[]) group by wave", list(self.waves)
        ):
            self.taken[row["wave"]] = row["jobs"]

    async def lock_jobs(self, column: str, keys: Collection[Any]) -> None:
        """Locks the jobs whose `column` (id, "order") is one of the keys."""
        await self._lock_jobs(f"{column} = any($1::uuid[])", list(keys))

    async def lock_jobs_of(self, waves: Collection[str]) -> None:
        """Locks the jobs of these waves, and those that wait for their plans."""
        where = f"wave = any($1::text[]) or ({tables.LATE} and waits[1] = any($2::text[]))"
        await self._lock_jobs(where, list(waves), list(map(plan_of, waves)))

    async def lock_plan(self, wave: Wave) -> None:
        """Locks and reads all that a plan of the wave may change: the waves of its market day, the wave's jobs."""
        await self.lock_waves([wave.id], [wave.market_day])
        await self.lock_jobs_of([wave.id])
        await self.read_catalog((), [wave.market_day])

    async def _lock_jobs(self, where: str, *keys: list[Any]) -> None:
        for row in await self.uow.conn.fetch(f"select * from job where {where} order by id for update", *keys):  # noqa: S608
            self.jobs[row["id"]] = rows.job_of(row)

    async def read_catalog(self, keys: Collection[str], market_days: Collection[str]) -> None:
        """Reads these entries, these market days, and all sites and stations, as far as they have come."""
        wanted = [*keys, *(key_of(MarketDayPut, day) for day in market_days)]
        found = await self.uow.conn.fetch(
            "select key, type, body from catalog where key = any($1::text[]) or type = any($2::text[])",
            wanted,
            [SitePut.TYPE, StationPut.TYPE],
        )
        self.catalog = rows.catalog_of(found)

    async def read_recipients(self, orders: Collection[UUID]) -> None:
        """Reads recipients without locking them: for a report about jobs that are locked."""
        for row in await self.uow.conn.fetch('select * from recipient where "order" = any($1::uuid[])', list(orders)):
            self.recipients[row["order"]] = rows.recipient_of(row)

    def job_about(self, command: DispatchCommand) -> Job:
        """The job that a command is about; a `NEW` one where nothing is known of it."""
        fresh = new_job(command)
        return self.jobs.get(fresh.id, fresh)

    def take(self, decision: JobDecision) -> Job:
        """Keeps the job as decided and queues its facts; the job."""
        before, job = self.jobs.get(decision.job.id), decision.job
        if before != job and job.state is not JobState.NEW:
            self.taken.subtract([before.slot.wave] if before and before.slot else [])
            self.taken.update([job.slot.wave] if job.slot else [])
            self.jobs[job.id] = job
            self._note("job", job.id, job)
        for event in decision.events:
            self.uow.emit(event)
        return job

    def amend(self, job: Job, **changes: Any) -> Job:
        """Keeps what became known about a job without anything happening to it; the job."""
        return self.take(JobDecision(replace(job, **changes)))

    def put_wave(self, wave: Wave) -> None:
        """Keeps the wave as it is now."""
        self.waves[wave.id] = wave
        self._note("wave", wave.id, wave)

    def put_recipient(self, recipient: Recipient) -> None:
        """Keeps the person of an order, or that there is none any more."""
        self.recipients[recipient.order] = recipient
        if recipient.erased:
            self.forget(recipient.order)
        self._note("recipient", recipient.order, recipient)

    def forget(self, order: UUID) -> None:
        """Forgets what couriers wrote about an order whose person was erased."""
        self._forgotten.add(order)

    def put_entry(self, entry: CatalogEvent) -> None:
        """Keeps a catalogue entry."""
        self.catalog = Catalog({**self.catalog.entries, entry.key: entry})
        self._note("catalog", entry.key, {"key": entry.key, "type": entry.TYPE, "body": entry.model_dump(mode="json")})

    def add_plan(self, wave: Wave, plan: Plan, made_at: datetime) -> None:
        """Keeps the plan that this version of the wave goes by."""
        self._note("plan", wave.id, {"wave": wave.id, "version": wave.version, "body": plan, "made_at": made_at})

    def add_attempt(self, attempt: Attempt) -> None:
        """Keeps one try at the door."""
        self._note("attempt", (attempt.job, attempt.n), attempt)

    def add_evidence(self, evidence: Evidence) -> None:
        """Keeps a report as it came."""
        self._note("evidence", (evidence.device, evidence.session, evidence.seq), evidence)

    def _note(self, table: str, key: Any, row: Any) -> None:
        self._changed.setdefault(table, {})[key] = row

    async def save(self) -> None:
        """Writes every change, one statement a table, in the order of the locks."""
        statements = {
            "catalog": tables.CATALOG,
            "recipient": tables.RECIPIENTS,
            "wave": tables.WAVES,
            "job": tables.JOBS,
            "plan": tables.PLANS,
            "attempt": tables.ATTEMPTS,
            "evidence": tables.EVIDENCE,
        }
        for table, statement in statements.items():
            if changed := self._changed.pop(table, None):
                values = [rows.row_of(row) if isinstance(row, Job) else row for row in changed.values()]
                await self.uow.conn.execute(statement, rows.packed(values))
        if self._forgotten:
            await erasure.forget(self.uow.conn, self._forgotten)
