"""What couriers report, on a book: each report decides about its job and is kept as evidence whatever comes of it."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import replace

from pydantic import ValidationError

from contracts.events.dispatch import AttemptFailed, JobDelivered
from services.dispatch.api.schemas.delivery import ReportBody
from services.dispatch.domain.delivery import Attempt, Evidence
from services.dispatch.domain.state_machine import WRONG_CODES, JobDecision, Kind, Report, Verdict, decide
from services.dispatch.repository import WaveRepository
from services.kit.telemetry.metrics import CODES_LOCKED
from services.kit.uploads.upload import Key, Upload

Outcome = tuple[str, str]
"""The answer to an upload, and why."""


def judged(upload: Upload) -> Upload:
    """The upload, with its fault where no report can be read from it."""
    if upload.fault:
        return upload
    if upload.kind not in set(Kind):
        return replace(upload, fault=f"{upload.kind!r} is no kind of report; expected {', '.join(Kind)}")
    try:
        ReportBody.model_validate(upload.body)
    except ValidationError as wrong:
        first = wrong.errors(include_input=False)[0]
        return replace(upload, fault=f"body/{'/'.join(map(str, first['loc']))}: {first['msg']}")
    return upload


async def take(book: WaveRepository, courier: str, uploads: Sequence[Upload]) -> dict[Key, Outcome]:
    """Decides about fresh uploads without fault, in the order given: one outcome each. Locks their jobs first."""
    bodies = [ReportBody.model_validate(upload.body) for upload in uploads]
    await book.lock_jobs("id", {body.job for body in bodies})
    await book.read_recipients({job.order for job in book.jobs.values()})
    return {upload.key: _one(book, courier, upload, body) for upload, body in zip(uploads, bodies, strict=True)}


def _one(book: WaveRepository, courier: str, upload: Upload, body: ReportBody) -> Outcome:
    job = book.jobs.get(body.job)
    known = book.recipients.get(job.order) if job else None
    reason, note = body.why()
    right = hmac.compare_digest((body.code or "").encode(), (known.code or "").encode()) if known else False
    report = Report(
        kind=Kind(upload.kind),
        courier=courier,
        epoch=body.epoch,
        recorded_at=upload.recorded_at,
        clock_invalid=upload.clock_invalid,
        code_right=right and bool(body.code),
        reason=reason,
    )
    outcome: Outcome = (Verdict.REFUSED, "there is no such job")
    if job:
        decision = decide(job, report)
        book.take(decision)
        if job.wrong_codes < WRONG_CODES == decision.job.wrong_codes:
            CODES_LOCKED.inc()
        if known and known.erased:  # a report that was long on its way
            book.forget(job.order)
        _attempt(book, decision, report)
        outcome = (decision.verdict, decision.why)
    book.add_evidence(_evidence(book, upload, body, report, outcome, note))
    return outcome


def _attempt(book: WaveRepository, decision: JobDecision, report: Report) -> None:
    for event in decision.events:
        if isinstance(event, AttemptFailed | JobDelivered):
            book.add_attempt(
                Attempt(
                    job=decision.job.id,
                    n=decision.job.attempts,
                    courier=report.courier,
                    epoch=report.epoch,
                    outcome="delivered" if isinstance(event, JobDelivered) else "failed",
                    reason=report.reason,
                    recorded_at=report.recorded_at,
                    clock_invalid=report.clock_invalid,
                    received_at=book.uow.now,
                )
            )


def _evidence(
    book: WaveRepository, upload: Upload, body: ReportBody, report: Report, outcome: Outcome, note: str
) -> Evidence:
    return Evidence(
        courier=report.courier,
        device=upload.device,
        session=upload.session,
        seq=upload.seq,
        job=body.job,
        epoch=body.epoch,
        kind=report.kind,
        code_right=report.code_right,
        verdict=outcome[0],
        why=outcome[1],
        note=note,
        recorded_at=upload.recorded_at,
        clock_invalid=upload.clock_invalid,
        received_at=book.uow.now,
    )
