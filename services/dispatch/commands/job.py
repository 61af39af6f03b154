"""Use cases of a delivery job: scheduling, placing in a wave, reassigning."""

from __future__ import annotations

from uuid import UUID

from contracts.events.catalog import CourierPut
from contracts.events.dispatch import CancelDelivery, ScheduleDelivery
from contracts.values import Principal
from services.dispatch.commands.checks import require_entries
from services.dispatch.domain.catalog import RECIPIENT
from services.dispatch.domain.job.job import HANDED_OUT, Job, JobState, Slot
from services.dispatch.domain.job.state_machine import Assigned, Placed, Unplaced, decide
from services.dispatch.domain.promise import is_verified, unkept
from services.dispatch.domain.wave import Wave, choose_late_wave, choose_slot, plan_key
from services.dispatch.planning.problem import MOST
from services.dispatch.repository import WaveRepository, transaction
from services.dispatch.repository.routing_rows import overload
from services.dispatch.settings import quote_keys
from services.kit.context import Context
from services.kit.http.problems import conflict, not_found
from services.kit.telemetry.metrics import QUOTES_UNVERIFIED
from services.kit.transaction.access_log import log_act


def schedule(repository: WaveRepository, command: ScheduleDelivery) -> None:
    """Create the job of an order; it is placed in a wave now, or when the inputs that it lacks have arrived.

    A quote that this deployment did not sign keeps no slot, and the job says so.
    """
    quote = command.quote
    if quote and not is_verified(quote_keys(), quote):
        QUOTES_UNVERIFIED.inc()
        quote = unkept(quote)
    job = repository.job_for(command)
    settle(repository, repository.apply(decide(job, command.model_copy(update={"quote": quote}))))


def cancel(repository: WaveRepository, command: CancelDelivery) -> None:
    """Cancel a job unless it is handed out; an unknown one leaves a tombstone for a late schedule."""
    repository.apply(decide(repository.job_for(command), command))


def settle(repository: WaveRepository, job: Job) -> None:
    """Place an incomplete job in a wave once all its inputs are known; else record the inputs that it lacks."""
    if job.state is not JobState.INCOMPLETE:
        return
    recipient = repository.recipients[job.order]
    waits = (*repository.catalog.missing(job), *(() if recipient.arrived else (RECIPIENT,)))
    if waits:
        repository.update(job, waits=waits)
        return
    load_g, cold_ml = repository.catalog.load_of(job.lines)
    if max(load_g, cold_ml) > MOST:
        repository.apply(decide(job, Unplaced(overload(load_g, cold_ml))))
        return
    job = repository.update(job, load_g=load_g, cold_ml=cold_ml)
    if recipient.obstacle:
        repository.apply(decide(job, Unplaced(recipient.obstacle)))
    else:
        place(repository, job)


def place(repository: WaveRepository, job: Job, otherwise: str = "", after: Wave | None = None) -> None:
    """Place a job in a wave that can take it, or refuse it.

    If no open wave keeps the job's quote, it waits for the plan of a wave that is past its cutoff, where one can still
    take it. A refusal has the reason `otherwise`, or that of the choice. With `after`, a wave
    that could not take the job, only later waves are considered.
    """
    station = repository.catalog.station_of(job.market_day, job.community)
    if station is None:
        repository.apply(decide(job, Unplaced(f"no site of {job.market_day} serves {job.community}")))
        return
    waves = [wave for wave in repository.waves.values() if wave.market_day == job.market_day]
    terms = (waves, repository.job_counts, station, repository.uow.now, job.quote)
    chosen = choose_slot(*terms)
    if job.state is JobState.INCOMPLETE and not (isinstance(chosen, Slot) and chosen.as_promised):
        late = choose_late_wave(*terms, as_promised=isinstance(chosen, Slot), after=after)
        if late:
            repository.update(job, waits=(plan_key(late.id),))
            return
    repository.apply(decide(job, Placed(chosen) if isinstance(chosen, Slot) else Unplaced(otherwise or chosen)))


async def reassign(context: Context, job_id: UUID, courier: str, expected_epoch: int, caller: Principal) -> None:
    """Assign a job that is handed out to another courier, in the next epoch. Repeatable.

    Raises a 503 problem for a courier that has not arrived, 404 for an unknown job, 409 `epoch-moved` if the job is not
    in `expected_epoch` any more, and 409 `not-handed-out` if no courier can have it now.
    """
    await require_entries(context.store, (CourierPut, courier))
    async with transaction(context) as repository:
        await repository.lock_jobs([job_id])
        job = repository.jobs.get(job_id)
        if job is None:
            raise not_found(f"job {job_id}")
        if (job.courier, job.epoch) == (courier, expected_epoch + 1):
            return  # a repeat
        if job.epoch != expected_epoch:
            raise conflict(f"job {job_id} is in epoch {job.epoch}, with courier {job.courier}", "epoch-moved")
        if job.state not in HANDED_OUT or job.eta is None:
            detail = f"job {job_id} is {job.state}; only a job that is handed out can be reassigned"
            raise conflict(detail, "not-handed-out")
        repository.apply(decide(job, Assigned(courier, job.trip, job.stop, job.eta)))
        await log_act(repository.uow, caller, "reassign", f"job/{job_id}")
