"""Routes of couriers: shifts, the route, and uploads of the device."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta

from fastapi import APIRouter, Request, Response

from contracts.values import Slug
from services.dispatch.api.callers import Courier, RouteReader, ShiftWriter, check_courier
from services.dispatch.api.schemas.courier import (
    CourierRoute,
    RouteStop,
    SessionState,
    ShiftBody,
    ShiftView,
    SyncBody,
    SyncView,
)
from services.dispatch.commands import courier_reports
from services.dispatch.commands.shift import record_shift
from services.dispatch.repository.store import WaveStore
from services.dispatch.settings import settings
from services.kit.http.dependencies import IdempotencyKey, Running
from services.kit.http.responses import NO_STORE, etag, once
from services.kit.ids import id_of_request
from services.kit.transaction.access_log import log_reading
from services.kit.transaction.unit_of_work import UnitOfWork
from services.kit.uploads.signed import Sender

router = APIRouter(prefix="/v1/couriers", tags=["couriers"])


@router.post("/{courier}/shifts", status_code=201, response_model=ShiftView)
async def create_shift(
    context: Running, caller: ShiftWriter, courier: Slug, body: ShiftBody, key: IdempotencyKey = None
) -> Response:
    """Record when a courier works, for one `wave` or for a whole `market_day`. The same request again is answered the
    same; different content under its id is a 409. 503 while the courier, the wave or the market day has not arrived.
    """
    check_courier(caller, courier)
    shift = body.shift(id_of_request(key, body.shift_id, caller.owner), courier)

    async def work(uow: UnitOfWork) -> ShiftView:
        await record_shift(uow, shift)
        return ShiftView.of(shift)

    return await once(context, caller, "shift", shift.id, asdict(shift), work)


@router.get("/{courier}/route", response_model=CourierRoute)
async def read_route(context: Running, caller: RouteReader, request: Request, courier: Slug) -> Response:
    """Return the courier's jobs in the order of their times, with an ETag for polling."""
    check_courier(caller, courier)
    async with context.unit() as uow:
        store: WaveStore = uow.store
        margin = timedelta(seconds=settings().route_margin_s)
        stops = [RouteStop.of(found, uow.now, margin) for found in await store.read_route(courier)]
        answer = etag(request, CourierRoute(courier=courier, stops=stops), cache=NO_STORE)
        if answer.body:
            await log_reading(uow, caller, "route", {stop.order: stop.shown for stop in stops}, hourly=True)
    return answer


@router.post("/{courier}/sync")
async def sync(context: Running, caller: Courier, courier: Slug, body: SyncBody) -> SyncView:
    """Ingest the uploads of a courier's device; each is judged separately, takes effect once, and is kept. Uploads of a
    device with a key are signed; one without a valid signature, or of a key that has ended, is `quarantined`.
    """
    check_courier(caller, courier)
    sender = Sender.of(caller, body.prev_hash, body.signature)
    synced = await courier_reports.sync(context, courier, body.device or "", body.uploads, sender)
    named = {(upload.device, upload.session) for upload in synced.accepted.uploads}
    sessions = [
        SessionState(device=device, session=session, received_through=progress.through, gaps=list(progress.gaps))
        for (device, session), progress in synced.accepted.sessions.items()
        if (device, session) in named
    ]
    return SyncView(uploads=synced.accepted.device_answers(synced.outcomes), sessions=sessions)
