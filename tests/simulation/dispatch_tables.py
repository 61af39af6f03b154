"""The tables of dispatch in memory: a replacement for each function and method of its repository that holds SQL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from contracts.events.catalog import CourierPut, ItemPut, MarketDayPut, SitePut, StationPut
from services.dispatch.commands import planning
from services.dispatch.commands import wave as wave_commands
from services.dispatch.domain.catalog import Catalog, catalog_key
from services.dispatch.domain.job.job import Job, JobState
from services.dispatch.domain.recipient import Recipient
from services.dispatch.domain.wave import Wave, plan_key
from services.dispatch.domain.wave import WaveState as WaveState
from services.dispatch.planning.plan import Plan, Unserved
from services.dispatch.repository import WaveRepository, queries
from services.dispatch.repository.load_set import LoadSet
from services.dispatch.repository.planning import CurrentPlan, WaveProblem
from services.kit.transaction.message import Message
from tests.simulation.memory import Reader, Transaction


async def load(self: Any, messages: Sequence[Message[Any]]) -> None:
    """The repository's own order of locks and reads, with the two reads that are statements of its own."""
    conn, keys = self.uow.conn, LoadSet.of(messages)
    await self._lock_catalog(keys.entries)
    incomplete = [job for job in conn.rows("job").values() if job.state is JobState.INCOMPLETE]
    keys.orders.update(job.order for job in incomplete if keys.entries & set(job.waits))
    await self.lock_orders(keys.orders)
    incomplete = [job for job in conn.rows("job").values() if job.state is JobState.INCOMPLETE]
    keys.market_days.update(job.market_day for job in incomplete if job.order in keys.orders)
    await self.lock_waves(keys.waves, keys.market_days)
    await self.lock_jobs_of_orders(keys.orders)
    keys.items.update(line.item for job in self.jobs.values() if job.waits for line in job.lines)
    await self.read_catalog({catalog_key(ItemPut, item) for item in keys.items}, keys.market_days)


async def lock_catalog(self: Any, changed: Collection[str]) -> None:
    await self.uow.conn.statement()
    await self.uow.conn.lock("catalog_lock", 0, shared=not changed)


async def lock_orders(self: Any, orders: Collection[Any]) -> None:
    conn: Transaction = self.uow.conn
    await conn.statement()
    for order in sorted(orders):
        await conn.lock("recipient", order)
        if conn.get("recipient", order) is None:
            conn.put("recipient", order, Recipient(order))
    await conn.statement()
    self.recipients.load(conn.get("recipient", order) for order in sorted(orders))


async def lock_waves(self: Any, ids: Collection[str], market_days: Collection[str] = ()) -> None:
    conn: Transaction = self.uow.conn
    await conn.statement()
    wanted = sorted(w.id for w in conn.rows("wave").values() if w.id in ids or w.market_day in market_days)
    await conn.lock_all("wave", wanted)
    self.waves.load(conn.get("wave", id) for id in wanted)
    await conn.statement()
    for wave in self.waves:
        count = sum(job.slot is not None and job.slot.wave == wave for job in conn.rows("job").values())
        if count:
            self.job_counts[wave] = count


async def lock_jobs(self: Any, ids: Collection[Any]) -> None:
    await _lock_jobs(self, lambda job: job.id in ids)


async def lock_jobs_of_orders(self: Any, orders: Collection[Any]) -> None:
    await _lock_jobs(self, lambda job: job.order in orders)


async def lock_jobs_of_waves(self: Any, waves: Collection[str]) -> None:
    await _lock_jobs(self, lambda job: any(_is_in(job, wave) or _waits_for(job, wave) for wave in waves))


async def _lock_jobs(self: Any, wanted: Callable[[Job], bool]) -> None:
    conn: Transaction = self.uow.conn
    await conn.statement()
    for id in sorted(job.id for job in conn.rows("job").values() if wanted(job)):
        await conn.lock("job", id)
        job = conn.get("job", id)
        if wanted(job):  # checked again after waiting for the row
            self.jobs.load([job])


def _is_in(job: Job, wave: str) -> bool:
    return job.slot is not None and job.slot.wave == wave


def _waits_for(job: Job, wave: str) -> bool:
    return job.state is JobState.INCOMPLETE and job.waits == (plan_key(wave),)


async def read_catalog(self: Any, keys: Collection[str], market_days: Collection[str]) -> None:
    conn: Transaction = self.uow.conn
    await conn.statement()
    wanted = {*keys, *(catalog_key(MarketDayPut, day) for day in market_days)}
    entries = conn.rows("catalog").items()
    self.catalog = Catalog({k: e for k, e in entries if k in wanted or isinstance(e, SitePut | StationPut)})


async def read_recipients(self: Any, orders: Collection[Any]) -> None:
    conn: Transaction = self.uow.conn
    await conn.statement()
    self.recipients.load(row for order in sorted(orders) if (row := conn.get("recipient", order)))


async def save(self: Any) -> None:
    conn: Transaction = self.uow.conn
    await conn.statement()
    for key in self._entries:
        conn.put("catalog", key, self.catalog.entries[key])
    for recipient in self.recipients.changed:
        conn.put("recipient", recipient.order, recipient)
    for table, changed in (("wave", self.waves.changed), ("job", self.jobs.changed)):
        for row in changed:
            conn.put(table, row.id, row)
    for row in self._plans:
        conn.insert("plan", (row.wave, row.version), row.body)
    for row in self._attempts:
        conn.insert("attempt", (row.job, row.n), row)
    for row in self._evidence:
        conn.insert("evidence", (row.courier, row.device, row.session, row.seq), row)


async def claim_wave(pool: Any, real: datetime, lease: timedelta) -> Wave | None:
    async with pool.acquire() as conn:
        await conn.statement()
        waves = sorted(conn.rows("wave").values(), key=lambda wave: (wave.cutoff, wave.id))
        for wave in waves:
            until = conn.get("solving", wave.id)
            if (
                wave.state is WaveState.CUT
                and (until is None or until <= real)
                and conn._free(("wave", wave.id), False)
            ):
                conn.put("solving", wave.id, real + lease)
                conn._apply()
                return wave
    return None


async def read_problem(pool: Reader, wave: Wave, crew: Collection[str] = (), *, late: bool = False) -> WaveProblem:
    """Return the wave's jobs and couriers by id, which is all that the stand-in planner uses."""
    await pool.statement()
    jobs = sorted(pool.rows("job").values(), key=lambda job: job.id)
    asking = [job for job in jobs if late and _waits_for(job, wave.id)]
    full = asking[max(wave.capacity - sum(_is_in(job, wave.id) for job in jobs), 0) :]
    found = [j for j in jobs if (_is_in(j, wave.id) and j.state is JobState.PLANNED) or (j in asking and j not in full)]
    lost = [str(j.id) for j in found if pool.get("recipient", j.order).lat is None]
    crew = [e for e in pool.rows("catalog").values() if isinstance(e, CourierPut) and e.station == wave.station]
    problem: Any = SimpleNamespace(
        orders=[SimpleNamespace(id=str(job.id)) for job in found if str(job.id) not in lost],
        couriers=[SimpleNamespace(id=courier.id) for courier in sorted(crew, key=lambda c: c.id)],
    )
    gone = [Unserved(id, "the delivery address is unknown or erased") for id in lost]
    return WaveProblem(problem, (*(Unserved(str(job.id), "the wave is full") for job in full), *gone))


async def block_wave(_pool: Reader, wave: Wave, reason: str, _until: datetime) -> None:
    raise AssertionError(f"wave {wave.id} is blocked: {reason}")  # every entry of this market can be used


async def read_current_plan(pool: Reader, id: str) -> CurrentPlan | None:
    await pool.statement()
    wave = pool.get("wave", id)
    current = pool.get("plan", (id, wave.version))
    read = await read_problem(pool, wave, late=True)
    return CurrentPlan(wave, current, read.problem, read.excluded)


async def wave_with_late_jobs(pool: Reader) -> str | None:
    await pool.statement()
    waits = {job.waits for job in pool.rows("job").values() if job.state is JobState.INCOMPLETE}
    ready = [w for w in pool.rows("wave").values() if w.state not in {WaveState.OPEN, WaveState.CUT}]
    asked = [wave for wave in ready if (plan_key(wave.id),) in waits]
    return min(((wave.slot_from, wave.id) for wave in asked), default=(None, None))[1]


async def ended_waves(pool: Reader) -> list[str]:
    await pool.statement()
    busy = {
        job.slot.wave
        for job in pool.rows("job").values()
        if job.slot and job.state not in {JobState.DELIVERED, JobState.RETURNED}
    }
    return sorted(w.id for w in pool.rows("wave").values() if w.state is WaveState.RELEASED and w.id not in busy)


async def plan(reader: Reader, wave: str) -> tuple[int, Plan] | None:
    await reader.statement()
    found = [(version, body) for (of, version), body in reader.rows("plan").items() if of == wave]  # type: ignore[misc]
    return max(found, key=lambda row: row[0], default=None)


async def one_wave(pool: Reader, id: str) -> dict[str, Any] | None:
    await pool.statement()
    wave = pool.get("wave", id)
    names = ("market_day", "station", "slot_from", "slot_until", "cutoff", "capacity", "state", "version")
    return {"wave": id, "jobs": {}, "plan": None} | {n: getattr(wave, n) for n in names} if wave else None


async def route(pool: Reader, courier: str) -> list[dict[str, Any]]:
    await pool.statement()
    mine = [job for job in pool.rows("job").values() if job.courier == courier and job.slot]
    under_way = [
        job
        for job in mine
        if job.state in {JobState.ASSIGNED, JobState.LOADED}
        or pool.get("wave", job.slot.wave).state is WaveState.RELEASED
    ]
    ordered = sorted(under_way, key=lambda job: (job.eta, job.trip, job.stop, job.id))
    return [{"job": job.id, "order": job.order, "state": job.state, "epoch": job.epoch} for job in ordered]


async def has_entry(pool: Reader, key: str) -> bool:
    await pool.statement()
    return pool.get("catalog", key) is not None


SEAMS: tuple[tuple[Any, str, Any], ...] = (
    (WaveRepository, "load", load),
    (WaveRepository, "_lock_catalog", lock_catalog),
    (WaveRepository, "lock_orders", lock_orders),
    (WaveRepository, "lock_waves", lock_waves),
    (WaveRepository, "lock_jobs", lock_jobs),
    (WaveRepository, "lock_jobs_of_orders", lock_jobs_of_orders),
    (WaveRepository, "lock_jobs_of_waves", lock_jobs_of_waves),
    (WaveRepository, "read_catalog", read_catalog),
    (WaveRepository, "read_recipients", read_recipients),
    (WaveRepository, "save", save),
    (planning, "block_wave", block_wave),
    (planning, "claim_wave", claim_wave),
    (planning, "read_problem", read_problem),
    (planning, "read_current_plan", read_current_plan),
    (planning, "wave_with_late_jobs", wave_with_late_jobs),
    (wave_commands, "ended_waves", ended_waves),
    (queries, "plan", plan),
    (queries, "wave", one_wave),
    (queries, "route", route),
    (queries, "has_entry", has_entry),
)
