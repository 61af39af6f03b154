"""The tables of dispatch in memory: what stands in for each function and method of its repository that knows SQL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from contracts.events.catalog import CourierPut, ItemPut, MarketDayPut, SitePut, StationPut
from services.dispatch import background
from services.dispatch.api import job as jobs
from services.dispatch.domain.catalog import Catalog, key_of
from services.dispatch.domain.delivery import Recipient
from services.dispatch.domain.job import Job, JobState
from services.dispatch.domain.wave import Wave, plan_of
from services.dispatch.domain.wave import WaveState as WaveState
from services.dispatch.planning.plan import Plan, Unserved
from services.dispatch.repository import WaveRepository, queries
from services.dispatch.repository.planning import Standing, WaveProblem
from services.dispatch.repository.wave import LoadSet
from services.kit.transaction.message import Message
from tests.simulation.memory import Reader, Transaction


async def load(self: Any, messages: Sequence[Message[Any]]) -> None:
    """The book's own order of locks and reads, with the two reads that stand in it as statements."""
    conn, need = self.uow.conn, LoadSet.of(messages)
    await self._lock_catalog(need.changed)
    incomplete = [job for job in conn.rows("job").values() if job.state is JobState.INCOMPLETE]
    need.orders.update(job.order for job in incomplete if need.changed & set(job.waits))
    await self.lock_orders(need.orders)
    incomplete = [job for job in conn.rows("job").values() if job.state is JobState.INCOMPLETE]
    need.market_days.update(job.market_day for job in incomplete if job.order in need.orders)
    await self.lock_waves(need.waves, need.market_days)
    await self.lock_jobs('"order"', need.orders)
    need.items.update(line.item for job in self.jobs.values() if job.waits for line in job.lines)
    await self.read_catalog({key_of(ItemPut, item) for item in need.items}, need.market_days)


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
    self.recipients.update({order: conn.get("recipient", order) for order in sorted(orders)})


async def lock_waves(self: Any, ids: Collection[str], market_days: Collection[str] = ()) -> None:
    conn: Transaction = self.uow.conn
    await conn.statement()
    wanted = sorted(w.id for w in conn.rows("wave").values() if w.id in ids or w.market_day in market_days)
    await conn.lock_all("wave", wanted)
    self.waves.update({id: conn.get("wave", id) for id in wanted})
    await conn.statement()
    for wave in self.waves:
        count = sum(job.slot is not None and job.slot.wave == wave for job in conn.rows("job").values())
        if count:
            self.taken[wave] = count


async def lock_jobs(self: Any, column: str, keys: Collection[Any]) -> None:
    field = {"id": lambda job: job.id, '"order"': lambda job: job.order}[column]
    await _lock_jobs(self, lambda job: field(job) in keys)


async def lock_jobs_of(self: Any, waves: Collection[str]) -> None:
    await _lock_jobs(self, lambda job: any(_is_in(job, wave) or _asks(job, wave) for wave in waves))


async def _lock_jobs(self: Any, wanted: Callable[[Job], bool]) -> None:
    conn: Transaction = self.uow.conn
    await conn.statement()
    for id in sorted(job.id for job in conn.rows("job").values() if wanted(job)):
        await conn.lock("job", id)
        job = conn.get("job", id)
        if wanted(job):  # who waited for the row looks again
            self.jobs[id] = job


def _is_in(job: Job, wave: str) -> bool:
    return job.slot is not None and job.slot.wave == wave


def _asks(job: Job, wave: str) -> bool:
    return job.state is JobState.INCOMPLETE and job.waits == (plan_of(wave),)


async def read_catalog(self: Any, keys: Collection[str], market_days: Collection[str]) -> None:
    conn: Transaction = self.uow.conn
    await conn.statement()
    wanted = {*keys, *(key_of(MarketDayPut, day) for day in market_days)}
    entries = conn.rows("catalog").items()
    self.catalog = Catalog({k: e for k, e in entries if k in wanted or isinstance(e, SitePut | StationPut)})


async def read_recipients(self: Any, orders: Collection[Any]) -> None:
    conn: Transaction = self.uow.conn
    await conn.statement()
    self.recipients.update({order: row for order in sorted(orders) if (row := conn.get("recipient", order))})


async def save(self: Any) -> None:
    conn: Transaction = self.uow.conn
    await conn.statement()
    for key in self._changed.pop("catalog", {}):
        conn.put("catalog", key, self.catalog.entries[key])
    for table in ("recipient", "wave", "job"):
        for key, row in self._changed.pop(table, {}).items():
            conn.put(table, key, row)
    for wave, row in self._changed.pop("plan", {}).items():
        conn.insert("plan", (wave, row["version"]), row["body"])
    for table in ("attempt", "evidence"):
        for key, row in self._changed.pop(table, {}).items():
            conn.insert(table, (row.courier, *key) if table == "evidence" else key, row)


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
    """The wave's jobs and couriers by id: all that the simulation's planner looks at."""
    await pool.statement()
    jobs = sorted(pool.rows("job").values(), key=lambda job: job.id)
    asking = [job for job in jobs if late and _asks(job, wave.id)]
    full = asking[max(wave.capacity - sum(_is_in(job, wave.id) for job in jobs), 0) :]
    found = [j for j in jobs if (_is_in(j, wave.id) and j.state is JobState.PLANNED) or (j in asking and j not in full)]
    lost = [str(j.id) for j in found if pool.get("recipient", j.order).lat is None]
    crew = [e for e in pool.rows("catalog").values() if isinstance(e, CourierPut) and e.station == wave.station]
    problem: Any = SimpleNamespace(
        orders=[SimpleNamespace(id=str(job.id)) for job in found if str(job.id) not in lost],
        couriers=[SimpleNamespace(id=courier.id) for courier in sorted(crew, key=lambda c: c.id)],
    )
    gone = [Unserved(id, "nobody knows where to deliver") for id in lost]
    return WaveProblem(problem, (*(Unserved(str(job.id), "the wave is full") for job in full), *gone))


async def block_wave(_pool: Reader, wave: Wave, reason: str, _until: datetime) -> None:
    raise AssertionError(f"wave {wave.id} is blocked: {reason}")  # every entry of this market can be used


async def read_standing(pool: Reader, id: str) -> Standing | None:
    await pool.statement()
    wave = pool.get("wave", id)
    stands = pool.get("plan", (id, wave.version))
    read = await read_problem(pool, wave, late=True)
    return Standing(wave, stands, read.problem, read.lost)


async def waited_for(pool: Reader) -> str | None:
    await pool.statement()
    waits = {job.waits for job in pool.rows("job").values() if job.state is JobState.INCOMPLETE}
    ready = [w for w in pool.rows("wave").values() if w.state not in {WaveState.OPEN, WaveState.CUT}]
    asked = [wave for wave in ready if (plan_of(wave.id),) in waits]
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


async def one_job(running: Any, id: Any) -> Job:
    """In place of a job's page."""
    await running.pool.statement()
    return running.pool.get("job", id)


async def knows(pool: Reader, key: str) -> bool:
    await pool.statement()
    return pool.get("catalog", key) is not None


SEAMS: tuple[tuple[Any, str, Any], ...] = (
    (WaveRepository, "load", load),
    (WaveRepository, "_lock_catalog", lock_catalog),
    (WaveRepository, "lock_orders", lock_orders),
    (WaveRepository, "lock_waves", lock_waves),
    (WaveRepository, "lock_jobs", lock_jobs),
    (WaveRepository, "lock_jobs_of", lock_jobs_of),
    (WaveRepository, "read_catalog", read_catalog),
    (WaveRepository, "read_recipients", read_recipients),
    (WaveRepository, "save", save),
    (background, "block_wave", block_wave),
    (background, "claim_wave", claim_wave),
    (background, "read_problem", read_problem),
    (background, "read_standing", read_standing),
    (background, "waited_for", waited_for),
    (background, "ended_waves", ended_waves),
    (queries, "plan", plan),
    (queries, "wave", one_wave),
    (queries, "route", route),
    (jobs, "one", one_job),
    (queries, "knows", knows),
)
