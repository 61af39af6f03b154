"""Use cases of courier reports: each report is applied to its job, and is kept as evidence with any verdict."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import Field, ValidationError

from contracts.events.catalog import CourierPut
from contracts.events.dispatch import AttemptFailed, JobDelivered
from contracts.values import Proof, UndeliveredReason
from services.dispatch.commands.checks import require_entries
from services.dispatch.domain.courier import Attempt, Evidence, Report, ReportKind, ReportVerdict
from services.dispatch.domain.job.state_machine import WRONG_CODES, JobDecision, decide
from services.dispatch.repository import WaveRepository
from services.kit.context import Context
from services.kit.http import problems
from services.kit.http.body import Body
from services.kit.http.bounded import Int32
from services.kit.ids import Id
from services.kit.telemetry.metrics import CODES_LOCKED
from services.kit.transaction.unit_of_work import UnitOfWork
from services.kit.uploads import ingestion
from services.kit.uploads.ingestion import Accepted
from services.kit.uploads.signed import LOCAL, Sender, receive
from services.kit.uploads.upload import Key, Upload, UploadIn

Outcome = tuple[str, str]
"""The verdict of an upload, and its reason."""


class ReportBody(Body):
    """The body of an upload: the job, the epoch of its assignment, and the details of this kind of report."""

    job: Id
    epoch: Int32
    code: str | None = Field(default=None, max_length=64)
    reason: str = Field(default=UndeliveredReason.OTHER, max_length=200)
    note: str = Field(default="", max_length=200)
    proof: str = Field(default=Proof.CODE, max_length=200)

    def coded_reason(self) -> tuple[UndeliveredReason, str]:
        """Return the code of the reason, and all free text of the courier, which never leaves this database.

        A reason that is not a code is `other`; a proof that is not a code is free text.
        """
        free_text = "" if self.proof == Proof.CODE else self.proof
        return UndeliveredReason.of(self.reason, "; ".join(filter(None, (self.note, free_text))))


@dataclass(frozen=True, slots=True)
class Synced:
    """The uploads that were accepted, and the outcomes of those that took effect now."""

    accepted: Accepted
    outcomes: Mapping[Key, Outcome]


async def sync(
    context: Context, courier: str, device: str, uploads: Sequence[UploadIn], sender: Sender = LOCAL
) -> Synced:
    """Ingest the uploads of a courier's device; each is judged separately, takes effect once, and is kept.

    `device` is the device of uploads that name none. Raises a 503 problem while the courier has not arrived, and a 422
    where a device with a key sends uploads of another device.
    """
    if not sender.is_local:
        device = _only_device(device, uploads)
    await require_entries(context.store, (CourierPut, courier))
    owner = f"courier/{courier}"
    async with context.unit() as uow:
        received = await receive(uow, owner, sender, device, uploads, uow.now)
        judged = [judge(upload) for upload in received.uploads]
        accepted = await ingestion.accept(uow, owner, judged, places=received.places)
        repository = WaveRepository(uow)
        outcomes = await apply_reports(repository, courier, accepted.fresh)
        await repository.save()
    return Synced(accepted, outcomes)


def _only_device(device: str, uploads: Sequence[UploadIn]) -> str:
    device = device or next((one.device for one in uploads if one.device), "")
    if not device:
        raise problems.unprocessable("/device", "is required: the device that the key belongs to")
    for n, one in enumerate(uploads):
        if one.device not in {None, device}:
            raise problems.unprocessable(f"/uploads/{n}/device", f"must be {device}, or be left out")
    return device


async def redrive(uow: UnitOfWork, owner: str, upload: Upload, _about: Mapping[str, str]) -> str:
    """Apply an upload that was kept; return the fault that still prevents it, else an empty text."""
    upload = judge(upload)
    if not upload.fault:
        repository = WaveRepository(uow)
        await apply_reports(repository, owner.partition("/")[2], [upload])
        await repository.save()
    return upload.fault


def judge(upload: Upload) -> Upload:
    """Return the upload, with a fault if it contains no valid report."""
    if upload.fault:
        return upload
    if upload.kind not in set(ReportKind):
        return replace(upload, fault=f"unknown kind of report {upload.kind!r}, expected {', '.join(ReportKind)}")
    try:
        ReportBody.model_validate(upload.body)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        return replace(upload, fault=f"body/{'/'.join(map(str, first['loc']))}: {first['msg']}")
    return upload


async def apply_reports(repository: WaveRepository, courier: str, uploads: Sequence[Upload]) -> dict[Key, Outcome]:
    """Apply new uploads without a fault, in the order given, and return the outcome of each. Locks their jobs."""
    bodies = [ReportBody.model_validate(upload.body) for upload in uploads]
    await repository.lock_jobs({body.job for body in bodies})
    await repository.read_recipients({job.order for job in repository.jobs.values()})
    pairs = zip(uploads, bodies, strict=True)
    return {upload.key: _apply_report(repository, courier, upload, body) for upload, body in pairs}


def _apply_report(repository: WaveRepository, courier: str, upload: Upload, body: ReportBody) -> Outcome:
    job = repository.jobs.get(body.job)
    recipient = repository.recipients.get(job.order) if job else None
    reason, note = body.coded_reason()
    report = Report(
        kind=ReportKind(upload.kind),
        courier=courier,
        epoch=body.epoch,
        recorded_at=upload.recorded_at,
        clock_invalid=upload.clock_invalid,
        code_right=_is_right(body.code, recipient.code if recipient else None),
        reason=reason,
    )
    outcome: Outcome = (ReportVerdict.REFUSED, "the job does not exist")
    if job:
        decision = decide(job, report)
        repository.apply(decision)
        if job.wrong_codes < WRONG_CODES == decision.job.wrong_codes:
            CODES_LOCKED.inc()
        if recipient and recipient.erased:  # the report arrived after the erasure
            repository.erase_notes(job.order)
        _record_attempt(repository, decision, report)
        outcome = (decision.verdict, decision.why)
    repository.add_evidence(_evidence(upload, body, report, outcome, note, repository))
    return outcome


def _is_right(given: str | None, expected: str | None) -> bool:
    # Compared in constant time, and also without a code, so that the timing is the same.
    return hmac.compare_digest((given or "").encode(), (expected or "").encode()) and bool(given)


def _record_attempt(repository: WaveRepository, decision: JobDecision, report: Report) -> None:
    for event in decision.events:
        if isinstance(event, AttemptFailed | JobDelivered):
            repository.add_attempt(
                Attempt(
                    job=decision.job.id,
                    n=decision.job.attempts,
                    courier=report.courier,
                    epoch=report.epoch,
                    outcome="delivered" if isinstance(event, JobDelivered) else "failed",
                    reason=report.reason,
                    recorded_at=report.recorded_at,
                    clock_invalid=report.clock_invalid,
                    received_at=repository.uow.now,
                )
            )


def _evidence(
    upload: Upload, body: ReportBody, report: Report, outcome: Outcome, note: str, repository: WaveRepository
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
        received_at=repository.uow.now,
    )
