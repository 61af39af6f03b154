"""Routes of devices: codes for terminals and couriers, enrolment, and renewal of keys."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from services.access.api import qr
from services.access.api.callers import Address, Enroller, EnrollerOrManager, Running
from services.access.api.schemas.device import (
    DeviceIn,
    DeviceKeysView,
    DevicesPage,
    DeviceView,
    EnrolmentIn,
    EnrolmentView,
    KeyView,
    RenewalIn,
)
from services.access.commands import enrolment as commands
from services.access.commands.access import refused
from services.access.commands.principals import visible
from services.access.domain.device import KINDS
from services.access.domain.enrolment import shown
from services.kit.http.dependencies import After, Limit
from services.kit.http.responses import NO_STORE, json, next_cursor

router = APIRouter(prefix="/v1", tags=["devices"])
SMALL = 8 * 1024
"""Bytes of the largest body here, which strangers may send."""


@router.post("/enrolments", status_code=201, response_model=EnrolmentView, max_body_size=SMALL)
async def make_code(access: Running, caller: Enroller, body: EnrolmentIn) -> Response:
    """Make a code for the device of a terminal or courier: 8 characters, valid once within 10 minutes and 5 tries.

    An older code of the same terminal or courier is void. The link has the code in its fragment.
    """
    code, made = await commands.make_code(access, caller, body.kind, body.id, body.bounds())
    link = qr.link(access.door, "enrol", shown(code))
    view = EnrolmentView(
        subject=made.subject, code=shown(code), link=link, qr_svg=qr.svg(link), expires_at=made.expires_at
    )
    return json(view, 201, {"Cache-Control": NO_STORE})


@router.post("/devices", status_code=201, response_model=DeviceView, max_body_size=SMALL)
async def enrol(access: Running, address: Address, body: DeviceIn) -> Response:
    """Enrol a device by its code and key; the device that was active before for the same terminal or courier ends."""
    found = await commands.enrol(access, address, body.code, body.key.members(), body.proof)
    if found is None:
        raise refused("The code is wrong, used or expired; ask for a new one")
    return json(DeviceView.of(*found), 201, {"Cache-Control": NO_STORE})


@router.post("/devices:renew", status_code=201, response_model=DeviceView, max_body_size=SMALL)
async def renew(access: Running, address: Address, body: RenewalIn) -> Response:
    """Replace a device's key, which is valid for 180 days, by a new one that the old key proposes."""
    found = await commands.renew(access, address, body.old, body.key.members(), (body.old_proof, body.new_proof))
    if found is None:
        raise refused("The old key must be active and have signed the proposal; else enrol the device again")
    return json(DeviceView.of(*found), 201, {"Cache-Control": NO_STORE})


@router.get("/devices", response_model=DevicesPage)
async def devices(access: Running, caller: EnrollerOrManager, limit: Limit = 100, cursor: After = "") -> Response:
    """Return terminals and couriers with their keys, in order of subject, within the caller's bounds."""
    store = access.context.store
    accounts = await store.read_accounts(cursor, limit, KINDS)
    seen = [account for account in accounts if visible(caller, account)]
    keys = await store.read_keys([account.subject for account in seen])
    found = [
        DeviceKeysView(
            subject=account.subject,
            kind=account.kind,
            bounds=account.bounds.plain(),
            status=str(account.status),
            keys=[KeyView.of(key) for key in keys if key.subject == account.subject],
        )
        for account in seen
    ]
    return json(DevicesPage(devices=found, next=next_cursor(accounts, limit, "subject")))
