"""Jobs: seen, and given to another courier."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from contracts.events.catalog import CourierPut
from contracts.values import Slug
from services.dispatch.api.common import OPERATOR, Limit, Running
from services.dispatch.api.schemas.delivery import JobHistory, JobPage, JobView, ReassignBody
from services.dispatch.domain.catalog import key_of
from services.dispatch.domain.job import HANDED_OUT, JobState
from services.dispatch.domain.state_machine import Assigned, decide
from services.dispatch.repository import WaveRepository, queries
from services.kit.http.problems import conflict, not_found, unavailable
from services.kit.ids import Id

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], dependencies=[OPERATOR])


@router.get("")
async def listing(
    running: Running,
    order: Id | None = None,
    wave: Slug | None = None,
    courier: Slug | None = None,
    state: JobState | None = None,
    limit: Limit = 100,
    cursor: UUID | None = None,
) -> JobPage:
    """Jobs in order of id."""
    found = await queries.jobs(running.pool, order, wave, courier, state, cursor, limit)
    return JobPage(jobs=[JobView(**row) for row in found], next=str(found[-1]["id"]) if len(found) == limit else None)


@router.get("/{job}")
async def one(running: Running, job: UUID) -> JobHistory:
    """A job with its tries and the evidence about it."""
    found = await queries.job(running.pool, job)
    if found is None:
        raise not_found(f"Job {job}")
    return JobHistory(**found)


@router.post("/{job}:reassign")
async def reassign(running: Running, job: UUID, body: ReassignBody) -> JobHistory:
    """Gives a job that is handed out to another courier under the next epoch; what the old one still reports is
    evidence. 409 when its epoch is not the expected one any more; the same request again is answered the same.
    """
    if not await queries.knows(running.pool, key_of(CourierPut, body.courier)):
        raise unavailable(1, f"Courier {body.courier} is not known here: it is on its way or does not exist")
    async with running.unit() as uow:
        book = WaveRepository(uow, None)
        await book.lock_jobs("id", [job])
        found = book.jobs.get(job)
        if found is None:
            raise not_found(f"Job {job}")
        if (found.courier, found.epoch) != (body.courier, body.expected_epoch + 1):
            if found.epoch != body.expected_epoch:
                raise conflict(f"The job is in epoch {found.epoch}, with {found.courier}", "epoch-moved")
            if found.state not in HANDED_OUT or found.eta is None:
                raise conflict(f"The job is {found.state}", "not-handed-out")
            book.take(decide(found, Assigned(body.courier, found.trip, found.stop, found.eta)))
            await book.save()
    return await one(running, job)
