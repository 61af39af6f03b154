"""Use cases of a wave: opening, cutting, releasing and finishing it."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from contracts.events.catalog import MarketDayPut
from contracts.events.dispatch import WaveCut, WaveDone, WaveOpened, WaveReleased
from contracts.values import Principal
from services.dispatch.domain.job.job import JobState
from services.dispatch.domain.job.state_machine import Assigned, decide
from services.dispatch.domain.wave import Wave, WaveState, cut, done, opened, released, revised
from services.dispatch.planning.plan import Plan
from services.dispatch.repository import WaveRepository, transaction
from services.dispatch.repository.store import WaveStore
from services.kit.context import Context
from services.kit.errors import Unprocessable
from services.kit.http.problems import conflict, not_found
from services.kit.transaction.access_log import log_act

CUTOFF = "cutoff"
"""The kind of the deadline that cuts a wave."""


def open_waves(repository: WaveRepository, day: MarketDayPut) -> None:
    """Open the waves of a market day that do not exist yet, and give open ones their new terms.

    Raises `Unprocessable` if a wave of this id belongs to another market day.
    """
    for terms in day.waves:
        known = repository.waves.get(terms.id)
        if known and known.market_day != day.id:
            raise Unprocessable(f"wave {terms.id} belongs to market day {known.market_day}, not to {day.id}")
        wave = revised(known, terms) if known else opened(day.id, terms)
        if wave == known:
            continue
        repository.waves.put(wave)
        repository.uow.set_deadline(CUTOFF, wave.id, wave.cutoff)
        if known is None:
            repository.uow.emit(WaveOpened(wave=wave.id, market_day=day.id, **terms.model_dump(exclude={"id"})))


def cut_wave(repository: WaveRepository, wave: Wave) -> None:
    """Cut an open wave: it takes no more promises, and the planning loop finds it. Any other wave stays as it is."""
    after = cut(wave)
    if after != wave:
        repository.waves.put(after)
        repository.uow.clear_deadline(CUTOFF, wave.id)
        repository.uow.emit(WaveCut(wave=wave.id, jobs=repository.job_counts[wave.id]))


def release_wave(repository: WaveRepository, wave: Wave, plan: Plan) -> None:
    """Assign the routes of a planned wave to their couriers; jobs that were cancelled meanwhile are left out."""
    for route in plan.routes:
        stops = [(n, stop) for n, trip in enumerate(route.trips, 1) for stop in trip.stops]
        for position, (trip, stop) in enumerate(stops, 1):
            job = repository.jobs.get(UUID(stop.order))
            if job and job.state is JobState.PLANNED:
                eta = datetime.fromtimestamp(stop.eta_s, UTC)
                repository.apply(decide(job, Assigned(route.courier, trip, position, eta)))
    repository.waves.put(released(wave))
    repository.uow.emit(WaveReleased(wave=wave.id, version=wave.version, couriers=len(plan.routes)))


def finish_wave(repository: WaveRepository, wave: Wave) -> None:
    """End a released wave once all its jobs have ended. The caller holds the locks of the wave and its jobs."""
    after = done(wave)
    jobs = [job for job in repository.jobs.values() if job.slot and job.slot.wave == wave.id]
    delivered = sum(job.state is JobState.DELIVERED for job in jobs)
    returned = sum(job.state is JobState.RETURNED for job in jobs)
    if after != wave and len(jobs) == delivered + returned:
        repository.waves.put(after)
        repository.uow.emit(WaveDone(wave=wave.id, delivered=delivered, returned=returned))


async def cut_by_operator(context: Context, wave_id: str, caller: Principal) -> None:
    """Cut a wave before its cutoff. Repeatable. Raises a 404 problem if the wave does not exist."""
    async with transaction(context) as repository:
        await repository.lock_waves([wave_id])
        wave = repository.waves.get(wave_id)
        if wave is None:
            raise not_found(f"wave {wave_id}")
        cut_wave(repository, wave)
        if repository.waves[wave_id] != wave:
            await log_act(repository.uow, caller, "cut", f"wave/{wave_id}")


async def release_by_operator(context: Context, wave_id: str, caller: Principal) -> None:
    """Release a planned wave. Repeatable.

    Raises a 404 problem if the wave does not exist, and a 409 `not-planned` problem, with the reason, before it is
    planned.
    """
    async with transaction(context) as repository:
        await repository.lock_waves([wave_id])
        stored = await repository.store.read_wave(wave_id)
        if stored is None:
            raise not_found(f"wave {wave_id}")
        wave, plan, blocked = stored
        if wave.state in {WaveState.OPEN, WaveState.CUT}:
            reason = f"it cannot be planned: {blocked}" if blocked else "it has no plan yet"
            raise conflict(f"wave {wave_id} is {wave.state}: {reason}", "not-planned")
        if wave.state is WaveState.PLANNED and plan:
            await repository.lock_jobs_of_waves([wave_id])
            release_wave(repository, wave, plan)
            await log_act(repository.uow, caller, "release", f"wave/{wave_id}")


async def finish_ended_waves(context: Context) -> bool:
    """End the released waves in which all jobs have ended; return true if there were any."""
    store: WaveStore = context.store
    ended = await store.ended_waves()
    if ended:
        async with transaction(context) as repository:
            await repository.lock_waves(ended)
            await repository.lock_jobs_of_waves(ended)
            for wave in list(repository.waves.values()):
                finish_wave(repository, wave)
    return bool(ended)
