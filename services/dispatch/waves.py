"""What happens to waves and to jobs in them, on a book: used by the handlers, the API and the planning loop alike."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from contracts.events.catalog import MarketDayPut
from contracts.events.dispatch import WaveCut, WaveDone, WaveOpened, WavePlanned, WaveReleased
from services.dispatch.domain import wave as waves
from services.dispatch.domain.catalog import RECIPIENT
from services.dispatch.domain.job import Job, Slot, State
from services.dispatch.domain.life import Assigned, Placed, Unplaced, decide
from services.dispatch.domain.wave import Wave
from services.dispatch.planning.plan import Plan
from services.dispatch.repository import DispatchBook
from services.kit.message import Unprocessable

CUTOFF = "cutoff"  # kind of the deadline that cuts a wave


def open_waves(book: DispatchBook, day: MarketDayPut) -> None:
    """Opens the waves that the market day brings and is not yet known for; tells open ones their new terms.

    Raises `Unprocessable` where a wave's id is another market day's.
    """
    for terms in day.waves:
        known = book.waves.get(terms.id)
        if known and known.market_day != day.id:
            raise Unprocessable(f"wave {terms.id} belongs to market day {known.market_day}")
        wave = waves.retold(known, terms) if known else waves.opened(day.id, terms)
        if wave == known:
            continue
        book.put_wave(wave)
        book.uow.due(CUTOFF, wave.id, wave.cutoff)
        if known is None:
            book.uow.emit(WaveOpened(wave=wave.id, market_day=day.id, **terms.model_dump(exclude={"id"})))


def settle(book: DispatchBook, job: Job) -> None:
    """Gives an incomplete job its place in a wave as soon as everything it needs is known; else notes what lacks."""
    if job.state is not State.INCOMPLETE:
        return
    recipient = book.recipients[job.order]
    waits = (*book.catalog.missing(job), *(() if recipient.arrived else (RECIPIENT,)))
    if waits:
        book.amend(job, waits=waits)
        return
    load_g, cold_ml = book.catalog.load_of(job.lines)
    job = book.amend(job, load_g=load_g, cold_ml=cold_ml)
    if recipient.obstacle:
        book.take(decide(job, Unplaced(recipient.obstacle)))
    else:
        place(book, job)


def place(book: DispatchBook, job: Job, otherwise: str = "") -> None:
    """Puts the job into the wave that can take it, or refuses it: with the reason `otherwise`, or why none can."""
    day = [wave for wave in book.waves.values() if wave.market_day == job.market_day]
    station = book.catalog.station_of(job.market_day, job.community)
    if station is None:
        chosen: Slot | str = f"no site of {job.market_day} serves {job.community}"
    else:
        chosen = waves.choose(day, book.taken, station, book.uow.now, job.quote)
    book.take(decide(job, Unplaced(otherwise or chosen) if isinstance(chosen, str) else Placed(chosen)))


def cut(book: DispatchBook, wave: Wave) -> Wave:
    """Cuts an open wave: no more jobs, and the planning loop finds it. Any other wave stays as it is."""
    after = waves.cut(wave)
    if after != wave:
        book.put_wave(after)
        book.uow.undue(CUTOFF, wave.id)
        book.uow.emit(WaveCut(wave=wave.id, jobs=book.taken[wave.id]))
    return after


def apply(book: DispatchBook, wave_id: str, version: int, plan: Plan) -> bool:
    """Makes the plan the wave's, if nothing has changed since `version`; whether it did.

    Jobs that it does not serve go with a later wave, or are refused with the plan's reason. A wave that nobody
    travels in is released at once.
    """
    wave = waves.planned(book.waves[wave_id], version)
    if wave is None:
        return False
    book.put_wave(wave)
    book.add_plan(wave, plan, book.uow.now)
    served = {stop.order for route in plan.routes for trip in route.trips for stop in trip.stops}
    reasons = {unserved.order: unserved.reason for unserved in plan.unserved}
    here = [job for job in book.jobs.values() if job.state is State.PLANNED and job.slot and job.slot.wave == wave_id]
    left = [job for job in here if str(job.id) not in served]
    for job in left:
        place(book, job, reasons.get(str(job.id), "the plan left it out"))
    stops = len(here) - len(left)
    book.uow.emit(
        WavePlanned(
            wave=wave_id,
            version=wave.version,
            planner=plan.planner,
            routes=len(plan.routes),
            stops=stops,
            metres=plan.metres,
            unserved=len(plan.unserved),
            on_time=stops,  # windows are hard: a stop that would be late is left out
        )
    )
    if not stops:
        release(book, wave, plan)
    return True


def release(book: DispatchBook, wave: Wave, plan: Plan) -> Wave:
    """Hands the routes of a planned wave to their couriers; what was cancelled meanwhile is left out."""
    for route in plan.routes:
        stops = [(n, stop) for n, trip in enumerate(route.trips, 1) for stop in trip.stops]
        for position, (trip, stop) in enumerate(stops, 1):
            job = book.jobs.get(UUID(stop.order))
            if job and job.state is State.PLANNED:
                eta = datetime.fromtimestamp(stop.eta_s, UTC)
                book.take(decide(job, Assigned(route.courier, trip, position, eta)))
    after = waves.released(wave)
    book.put_wave(after)
    book.uow.emit(WaveReleased(wave=wave.id, version=wave.version, couriers=len(plan.routes)))
    return after


def finish(book: DispatchBook, wave: Wave) -> None:
    """Ends a released wave whose jobs have all ended, once; the caller holds the wave's lock and has its jobs."""
    after = waves.done(wave)
    jobs = [job for job in book.jobs.values() if job.slot and job.slot.wave == wave.id]
    delivered = sum(job.state is State.DELIVERED for job in jobs)
    returned = sum(job.state is State.RETURNED for job in jobs)
    if after != wave and len(jobs) == delivered + returned:
        book.put_wave(after)
        book.uow.emit(WaveDone(wave=wave.id, delivered=delivered, returned=returned))
