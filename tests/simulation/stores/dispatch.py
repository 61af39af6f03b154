"""The tables of dispatch in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from contracts.events.catalog import CatalogEvent, CourierPut, SitePut, StationPut
from services.dispatch.domain.catalog import Catalog
from services.dispatch.domain.courier import Shift
from services.dispatch.domain.job.job import HANDED_OUT, Job, JobState
from services.dispatch.domain.recipient import Recipient
from services.dispatch.domain.wave import Wave, WaveState, plan_key
from services.dispatch.repository.store import Changes, CrewMember, RouteJob, StoredWave, WaveJob, WaveStore
from tests.simulation.memory import Transaction


class MemoryWaves(WaveStore):
    """All tables of dispatch over one transaction, or over a reader for calls that are a transaction of their own.

    Couriers' notes are not erased: a store does not read them.
    """

    def __init__(self, conn: Transaction) -> None:
        self._conn = conn

    async def lock_catalog(self, *, exclusive: bool) -> None:
        await self._conn.statement()
        await self._conn.lock("catalog_lock", 0, shared=not exclusive)

    async def lock_orders(self, orders: Collection[UUID]) -> list[Recipient]:
        conn = self._conn
        await conn.statement()
        for order in sorted(orders):
            await conn.lock("recipient", order)
            if conn.get("recipient", order) is None:
                conn.put("recipient", order, Recipient(order))
        await conn.statement()
        return [conn.get("recipient", order) for order in sorted(orders)]

    async def lock_waves(self, ids: Collection[str], market_days: Collection[str]) -> list[Wave]:
        conn = self._conn
        await conn.statement()
        wanted = sorted(wave.id for wave in self._waves() if wave.id in ids or wave.market_day in market_days)
        await conn.lock_all("wave", wanted)
        return [conn.get("wave", id) for id in wanted]

    async def lock_jobs(self, ids: Collection[UUID]) -> list[Job]:
        return await self._lock_jobs(lambda job: job.id in ids)

    async def lock_jobs_of_orders(self, orders: Collection[UUID]) -> list[Job]:
        return await self._lock_jobs(lambda job: job.order in orders)

    async def lock_jobs_of_waves(self, waves: Collection[str]) -> list[Job]:
        return await self._lock_jobs(lambda job: any(_is_in(job, wave) or _waits_for(job, wave) for wave in waves))

    async def _lock_jobs(self, wanted: Callable[[Job], bool]) -> list[Job]:
        conn, locked = self._conn, []
        await conn.statement()
        for id in sorted(job.id for job in self._jobs() if wanted(job)):
            await conn.lock("job", id)
            if wanted(job := conn.get("job", id)):  # checked again after waiting for the row
                locked.append(job)
        return locked

    async def orders_waiting_for(self, entries: Collection[str]) -> list[UUID]:
        await self._conn.statement()
        return [job.order for job in self._jobs() if job.state is JobState.INCOMPLETE and set(entries) & set(job.waits)]

    async def incomplete_market_days(self, orders: Collection[UUID]) -> list[str]:
        await self._conn.statement()
        incomplete = [job for job in self._jobs() if job.state is JobState.INCOMPLETE]
        return sorted({job.market_day for job in incomplete if job.order in orders})

    async def count_jobs(self, waves: Collection[str]) -> Mapping[str, int]:
        await self._conn.statement()
        return Counter(job.slot.wave for job in self._jobs() if job.slot and job.slot.wave in waves)

    async def read_catalog(self, keys: Collection[str]) -> Catalog:
        await self._conn.statement()
        entries = self._conn.rows("catalog").values()
        return Catalog({e.key: e for e in entries if e.key in keys or isinstance(e, SitePut | StationPut)})

    async def read_recipients(self, orders: Collection[UUID]) -> list[Recipient]:
        await self._conn.statement()
        return [row for order in sorted(orders) if (row := self._conn.get("recipient", order))]

    async def save(self, changes: Changes) -> None:
        conn = self._conn
        await conn.statement()
        for entry in changes.entries:
            conn.put("catalog", entry.key, entry)
        for recipient in changes.recipients:
            conn.put("recipient", recipient.order, recipient)
        for wave in changes.waves:
            conn.put("wave", wave.id, wave)
            conn.delete("blocked", wave.id)
        for job in changes.jobs:
            conn.put("job", job.id, job)
        for plan in changes.plans:
            conn.insert("plan", (plan.wave, plan.version), plan.body)
        for attempt in changes.attempts:
            conn.insert("attempt", (attempt.job, attempt.n), attempt)
        for one in changes.evidence:
            conn.insert("evidence", (one.courier, one.device, one.session, one.seq), one)

    async def record_shift(self, shift: Shift) -> Shift:
        conn = self._conn
        if (shift.wave is None) == (shift.market_day is None):
            raise asyncpg.CheckViolationError(f"shift {shift.id} is for a wave or a market day")
        await conn.statement()
        await conn.lock("shift", shift.id)
        if conn.get("shift", shift.id) is None:
            conn.put("shift", shift.id, shift)
        stored: Shift = conn.get("shift", shift.id)
        return stored

    async def claim_wave(self, real: datetime, lease: timedelta) -> Wave | None:
        async with self._single_statement() as conn:
            for wave in sorted(self._waves(), key=lambda wave: (wave.cutoff, wave.id)):
                until = conn.get("solving", wave.id)
                due = wave.state is WaveState.CUT and (until is None or until <= real)
                if due and conn.try_lock("wave", wave.id):
                    conn.put("solving", wave.id, real + lease)
                    return wave
        return None

    async def block_wave(self, wave: Wave, reason: str, until: datetime) -> None:
        async with self._single_statement() as conn:
            await conn.lock("wave", wave.id)
            stored = conn.get("wave", wave.id)
            if stored.version == wave.version and stored.state is WaveState.CUT:
                conn.put("blocked", wave.id, reason)
                conn.put("solving", wave.id, until)

    @asynccontextmanager
    async def _single_statement(self) -> AsyncIterator[Transaction]:
        async with self._conn.acquire() as conn:
            await conn.statement()
            yield conn
            conn.apply()

    async def wave_with_late_jobs(self) -> str | None:
        await self._conn.statement()
        waits = {job.waits for job in self._jobs() if job.state is JobState.INCOMPLETE}
        ready = [wave for wave in self._waves() if wave.state not in {WaveState.OPEN, WaveState.CUT}]
        found = [(wave.slot_from, wave.id) for wave in ready if (plan_key(wave.id),) in waits]
        return min(found)[1] if found else None

    async def ended_waves(self) -> list[str]:
        await self._conn.statement()
        ended = {JobState.DELIVERED, JobState.RETURNED}
        busy = {job.slot.wave for job in self._jobs() if job.slot and job.state not in ended}
        found = [wave.id for wave in self._waves() if wave.state is WaveState.RELEASED and wave.id not in busy]
        return sorted(found)[:20]

    async def read_wave(self, id: str) -> StoredWave | None:
        conn = self._conn
        await conn.statement()
        wave: Wave | None = conn.get("wave", id)
        return StoredWave(wave, conn.get("plan", (id, wave.version)), conn.get("blocked", id)) if wave else None

    async def read_wave_jobs(self, wave: Wave, states: Collection[JobState], *, late: bool) -> list[WaveJob]:
        await self._conn.statement()
        found = []
        for job in sorted(self._jobs(), key=lambda job: job.id):
            is_late = late and _waits_for(job, wave.id)
            if is_late or (_is_in(job, wave.id) and job.state in states):
                slot, at = job.slot or wave, self._conn.get("recipient", job.order)
                times = (slot.slot_from, slot.slot_until)
                found.append(WaveJob(job.id, job.load_g, job.cold_ml, *times, at.lat, at.lon, at.erased, is_late))
        return found

    async def read_crew(self, wave: Wave, crew: Collection[str]) -> list[CrewMember]:
        await self._conn.statement()
        entries = self._conn.rows("catalog").values()
        couriers = {e.id: e for e in entries if isinstance(e, CourierPut) and e.station == wave.station}
        shifts = [
            shift
            for shift in self._conn.rows("shift").values()
            if (shift.wave == wave.id or shift.market_day == wave.market_day)
            and shift.from_at < wave.slot_until
            and shift.until_at > wave.slot_from
            and shift.courier in couriers
        ]
        longest: dict[str, Shift] = {}
        for shift in sorted(shifts, key=lambda shift: shift.until_at - shift.from_at):
            longest[shift.courier] = shift
        found = []
        for id, courier in sorted(couriers.items()):
            if id in longest or not longest or id in crew:
                times = (longest[id].from_at, longest[id].until_at) if id in longest else (None, None)
                found.append(CrewMember(id, str(courier.capacity_g), str(courier.cold_ml), *times))
        return found

    async def read_entry(self, key: str) -> Mapping[str, Any] | None:
        await self._conn.statement()
        entry: CatalogEvent | None = self._conn.get("catalog", key)
        return entry.model_dump(mode="json") if entry else None

    async def read_route(self, courier: str) -> list[RouteJob]:
        await self._conn.statement()
        found = [
            job
            for job in self._jobs()
            if job.courier == courier and job.slot
            if job.state in HANDED_OUT or self._conn.get("wave", job.slot.wave).state is WaveState.RELEASED
        ]
        ordered = sorted(found, key=lambda job: (job.eta, job.trip, job.stop, job.id))
        return [self._route_job(job) for job in ordered]

    def _route_job(self, job: Job) -> RouteJob:
        assert job.slot
        shifts = [
            shift.until_at
            for shift in self._conn.rows("shift").values()
            if shift.courier == job.courier and (shift.wave == job.slot.wave or shift.market_day == job.market_day)
        ]
        released = self._conn.get("wave", job.slot.wave).state is WaveState.RELEASED
        return RouteJob(job, self._conn.get("recipient", job.order), released, max(shifts, default=None))

    def _jobs(self) -> Collection[Job]:
        return self._conn.rows("job").values()

    def _waves(self) -> Collection[Wave]:
        return self._conn.rows("wave").values()


def _is_in(job: Job, wave: str) -> bool:
    return job.slot is not None and job.slot.wave == wave


def _waits_for(job: Job, wave: str) -> bool:
    return job.state is JobState.INCOMPLETE and job.waits == (plan_key(wave),)
