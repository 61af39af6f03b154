"""Routes of delivery jobs: read them, and reassign them to another courier."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from contracts.values import Principal, Slug
from services.dispatch.api.callers import Dispatcher, check_job
from services.dispatch.api.schemas.job import JobHistory, JobPage, JobView, ReassignBody
from services.dispatch.commands.job import reassign
from services.dispatch.domain.job.job import JobState
from services.dispatch.repository import queries
from services.kit.context import Context
from services.kit.http.dependencies import Limit, Running
from services.kit.http.problems import not_found
from services.kit.http.responses import next_cursor
from services.kit.ids import Id
from services.kit.transaction.access_log import Shown, log_reading

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.get("")
async def list_jobs(
    context: Running,
    caller: Dispatcher,
    order: Id | None = None,
    wave: Slug | None = None,
    courier: Slug | None = None,
    state: JobState | None = None,
    limit: Limit = 100,
    cursor: UUID | None = None,
) -> JobPage:
    """List jobs of the caller's stations in order of id."""
    found = await queries.jobs(context.pool, order, wave, courier, state, caller.bounds.stations, cursor, limit)
    last = next_cursor(found, limit, "job")
    return JobPage(jobs=[JobView(**row) for row in found], next=str(last) if last else None)


@router.get("/{job}")
async def read_job(context: Running, caller: Dispatcher, job: UUID) -> JobHistory:
    """Return a job with its delivery attempts and the evidence about it."""
    await check_job(context, caller, job)
    return await _history(context, caller, job)


@router.post("/{job}:reassign")
async def reassign_job(context: Running, caller: Dispatcher, job: UUID, body: ReassignBody) -> JobHistory:
    """Assign a job that is handed out to another courier in the next epoch; later reports of the old courier are kept
    as evidence only. 409 when its epoch is not the expected one any more; the same request again is answered the same.
    """
    await check_job(context, caller, job)
    await reassign(context, job, body.courier, body.expected_epoch, caller)
    return await _history(context, caller, job)


async def _history(context: Context, caller: Principal, job: UUID) -> JobHistory:
    async with context.unit() as uow:
        found = await queries.job(uow.conn, job)
        if found is None:
            raise not_found(f"job {job}")
        history = JobHistory(**found)
        has_notes = any(report.note for report in history.evidence)
        await log_reading(uow, caller, "job", {history.order: [Shown.NOTE] if has_notes else ()})
    return history
