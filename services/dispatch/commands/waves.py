"""What happens to waves and to jobs in them, on a book: used by the handlers, the API and the planning loop alike."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

from contracts.events.catalog import MarketDayPut
from contracts.events.dispatch import WaveCut, WaveDone, WaveOpened, WavePlanned, WaveReleased
from services.dispatch.domain import wave as waves
from services.dispatch.domain.catalog import RECIPIENT
from services.dispatch.domain.job import Job, JobState, Slot
from services.dispatch.domain.state_machine import Assigned, Placed, Unplaced, decide
from services.dispatch.domain.wave import Wave
from services.dispatch.planning.plan import Plan
from services.dispatch.planning.problem import MOST
from services.dispatch.planning.replanning.keep_plan import served
from services.dispatch.repository import WaveRepository
from services.dispatch.repository.problem_rows import too_much
from services.kit.errors import Unprocessable

CUTOFF = "cutoff"  # kind of the deadline that cuts a wave


def open_waves(book: WaveRepository, day: MarketDayPut) -> None:
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
        book.uow.set_deadline(CUTOFF, wave.id, wave.cutoff)
        if known is None:
            book.uow.emit(WaveOpened(wave=wave.id, market_day=day.id, **terms.model_dump(exclude={"id"})))


def settle(book: WaveRepository, job: Job) -> None:
    """Gives an incomplete job its place in a wave as soon as everything it needs is known; else notes what lacks."""
    if job.state is not JobState.INCOMPLETE:
        return
    recipient = book.recipients[job.order]
    waits = (*book.catalog.missing(job), *(() if recipient.arrived else (RECIPIENT,)))
    if waits:
        book.amend(job, waits=waits)
        return
    load_g, cold_ml = book.catalog.load_of(job.lines)
    if max(load_g, cold_ml) > MOST:
        book.take(decide(job, Unplaced(too_much(load_g, cold_ml))))
        return
    job = book.amend(job, load_g=load_g, cold_ml=cold_ml)
    if recipient.obstacle:
        book.take(decide(job, Unplaced(recipient.obstacle)))
    else:
        place(book, job)


def place(book: WaveRepository, job: Job, otherwise: str = "", after: Wave | None = None) -> None:
    """Puts the job into the wave that can take it, lets it wait for the plan of one that is past its cutoff where none
    other keeps the promise, or refuses it: with the reason `otherwise`, or why none can.

    `after` is the wave whose plan has no place for it: only later ones are asked.
    """
    station = book.catalog.station_of(job.market_day, job.community)
    if station is None:
        book.take(decide(job, Unplaced(f"no site of {job.market_day} serves {job.community}")))
        return
    day = [wave for wave in book.waves.values() if wave.market_day == job.market_day]
    terms = (day, book.taken, station, book.uow.now, job.quote)
    chosen = waves.choose(*terms)
    if job.state is JobState.INCOMPLETE and not (isinstance(chosen, Slot) and chosen.as_promised):
        late = waves.choose_late(*terms, as_promised=isinstance(chosen, Slot), after=after)
        if late:
            book.amend(job, waits=(waves.plan_of(late.id),))
            return
    book.take(decide(job, Unplaced(otherwise or chosen) if isinstance(chosen, str) else Placed(chosen)))


def cut(book: WaveRepository, wave: Wave) -> Wave:
    """Cuts an open wave: promised to nobody any more, and the desk finds it. Any other wave stays as it is."""
    after = waves.cut(wave)
    if after != wave:
        book.put_wave(after)
        book.uow.clear_deadline(CUTOFF, wave.id)
        book.uow.emit(WaveCut(wave=wave.id, jobs=book.taken[wave.id]))
    return after


def apply(book: WaveRepository, wave_id: str, version: int, plan: Plan) -> bool:
    """Makes the plan the wave's, if nothing has changed since `version` and there is room for the late jobs in it;
    whether it did.

    Jobs that it does not serve go with a later wave, or are refused with the plan's reason; so do late ones that it
    gives a reason for. A wave that nobody travels in is released at once.
    """
    wave = waves.planned(book.waves[wave_id], version)
    brought = served(plan)
    late = [job for job in waiting(book, wave_id) if str(job.id) in brought]
    if wave is None or (late and book.taken[wave_id] + len(late) > wave.capacity):
        return False
    for job in late:
        book.take(decide(job, Placed(waves.slot_in(wave, job.quote))))
    book.put_wave(wave)
    book.add_plan(wave, plan, book.uow.now)
    here = _travelling(book, wave_id)
    left = [job for job in here if str(job.id) not in brought]
    turn_away(book, wave, [*left, *waiting(book, wave_id)], plan)
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
    _pass_if_empty(book, wave)
    return True


def answer(book: WaveRepository, wave_id: str, version: int, plan: Plan) -> bool:
    """Answers the late jobs that wait for the wave's plan: applies `plan` where it serves any of them, else only turns
    away those that it gives a reason for. False, and nothing is changed, if the wave has moved on since `version`.
    """
    wave, late = book.waves[wave_id], waiting(book, wave_id)
    if served(plan) & {str(job.id) for job in late}:
        return apply(book, wave_id, version, plan)
    if wave.version != version:
        return False
    turn_away(book, wave, late, plan)
    _pass_if_empty(book, wave)
    return True


def turn_away(book: WaveRepository, wave: Wave, jobs: Iterable[Job], plan: Plan) -> None:
    """Places those jobs elsewhere that the plan leaves out, with its reasons. Who waits and is not named, waits on."""
    reasons = {left.order: left.reason for left in plan.unserved}
    for job in jobs:
        if job.state is JobState.PLANNED or str(job.id) in reasons:
            place(book, job, reasons.get(str(job.id), "the plan left it out"), wave)


def waiting(book: WaveRepository, wave_id: str) -> list[Job]:
    """The late jobs that wait for the wave's plan; the caller has locked the wave's jobs."""
    return [job for job in book.jobs.values() if job.waits == (waves.plan_of(wave_id),)]


def _travelling(book: WaveRepository, wave_id: str) -> list[Job]:
    return [
        job for job in book.jobs.values() if job.state is JobState.PLANNED and job.slot and job.slot.wave == wave_id
    ]


def _pass_if_empty(book: WaveRepository, wave: Wave) -> None:
    if wave.state is waves.WaveState.PLANNED and not _travelling(book, wave.id) and not waiting(book, wave.id):
        release(book, wave, Plan((), (), 0, "none"))


def release(book: WaveRepository, wave: Wave, plan: Plan) -> Wave:
    """Hands the routes of a planned wave to their couriers; what was cancelled meanwhile is left out."""
    for route in plan.routes:
        stops = [(n, stop) for n, trip in enumerate(route.trips, 1) for stop in trip.stops]
        for position, (trip, stop) in enumerate(stops, 1):
            job = book.jobs.get(UUID(stop.order))
            if job and job.state is JobState.PLANNED:
                eta = datetime.fromtimestamp(stop.eta_s, UTC)
                book.take(decide(job, Assigned(route.courier, trip, position, eta)))
    after = waves.released(wave)
    book.put_wave(after)
    book.uow.emit(WaveReleased(wave=wave.id, version=wave.version, couriers=len(plan.routes)))
    return after


def finish(book: WaveRepository, wave: Wave) -> None:
    """Ends a released wave whose jobs have all ended, once; the caller holds the wave's lock and has its jobs."""
    after = waves.done(wave)
    jobs = [job for job in book.jobs.values() if job.slot and job.slot.wave == wave.id]
    delivered = sum(job.state is JobState.DELIVERED for job in jobs)
    returned = sum(job.state is JobState.RETURNED for job in jobs)
    if after != wave and len(jobs) == delivered + returned:
        book.put_wave(after)
        book.uow.emit(WaveDone(wave=wave.id, delivered=delivered, returned=returned))
