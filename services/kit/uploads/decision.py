"""Decisions of staff about quarantined uploads: accepted ones take effect as uploads of their device."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from dataclasses import replace
from typing import Literal

import orjson

from contracts.values import Principal
from services.kit.context import Context
from services.kit.http import problems
from services.kit.transaction.access_log import log_act, log_reading
from services.kit.transaction.unit_of_work import UnitOfWork
from services.kit.uploads import ingestion
from services.kit.uploads.kept import OnUpload
from services.kit.uploads.quarantine import QuarantineTable, Row
from services.kit.uploads.sessions import SessionTable, words_of
from services.kit.uploads.upload import Answer, Upload, UploadIn, read

Decision = Literal["accepted", "refused"]


async def decide(
    context: Context, apply: OnUpload | None, caller: Principal, id: int, decision: Decision, why: str
) -> Row:
    """Decide about an upload, once; the same decision again changes nothing. Return its row.

    Raises a 404 problem for one outside of the caller's bounds, a 409 where the opposite was decided, or where an
    accepted one can have no effect: it stays in quarantine then.
    """
    async with context.unit() as uow:
        table = uow.table(QuarantineTable)
        row = await table.lock(id)
        if row is None or not may_decide(caller, row):
            raise problems.not_found(f"quarantined upload {id}")
        if row["decision"] not in {None, decision}:
            raise problems.conflict(f"upload {id} was {row['decision']} by {row['decided_by']}", "decided")
        if row["decision"] is None:
            if decision == "accepted":
                await _take_effect(uow, apply, row)
            await table.decide(id, decision, caller.subject, why, uow.now)
            await log_act(uow, caller, f"upload-{decision}", f"upload/{id}")
        found = await table.lock(id)
        assert found
        await log_reading(uow, caller, "quarantine", {id: words_of(found["owner"], found["given"])}, kind="upload")
        return found


def may_decide(caller: Principal, row: Row) -> bool:
    """Return True if the caller is staff of all places of the upload's device."""
    kind = "sites" if row["owner"].startswith("terminal/") else "stations"
    places = row["places"]
    if places is None:
        return getattr(caller.bounds, kind) is None
    return all(caller.bounds.permit(kind, place) for place in places)


async def _take_effect(uow: UnitOfWork, apply: OnUpload | None, row: Row) -> None:
    owner, about = row["owner"], orjson.loads(row["about"])
    upload = read(UploadIn.model_validate(json.loads(row["given"])), owner, row["received_at"])
    if row["signed_by"]:
        upload = replace(upload, digest=urlsafe_b64decode(upload.link + "="), signed_by=row["signed_by"])
    fault = "" if row["received"] else await _take_number(uow, owner, upload)
    fault = fault or upload.fault or (await apply(uow, owner, upload, about) if apply else "no uploads are taken here")
    if fault:
        raise problems.conflict(f"upload {row['id']} can have no effect: {fault}", "no-effect")
    await uow.table(SessionTable).settle(owner, upload, "")


async def _take_number(uow: UnitOfWork, owner: str, upload: Upload) -> str:
    """Store an upload under its number, which was left free; return why that is not possible."""
    accepted = await ingestion.accept(uow, owner, [upload])
    (answer,) = accepted.answers
    if answer in {Answer.APPLIED, Answer.KEPT}:
        return ""
    if answer is Answer.REPEATED:
        return "the same upload has arrived with a valid signature"
    return accepted.device_answers({})[0].reason
