"""A courier's day: shifts, the route, and what the device has recorded."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response

from contracts.events.catalog import CourierPut, MarketDayPut
from contracts.values import Slug
from services.dispatch.api.common import COURIER, Running, polled
from services.dispatch.api.schemas.delivery import (
    CourierRoute,
    Person,
    RouteStop,
    SessionState,
    ShiftBody,
    ShiftView,
    SyncBody,
    Synced,
)
from services.dispatch.commands import courier_reports
from services.dispatch.domain.catalog import key_of
from services.dispatch.domain.job import HANDED_OUT
from services.dispatch.repository import WaveRepository, queries
from services.dispatch.repository import shift as shifts
from services.kit.context import Context
from services.kit.http.dependencies import IdempotencyKey
from services.kit.http.problems import conflict, unavailable
from services.kit.ids import id_of_request
from services.kit.transaction.unit_of_work import UnitOfWork
from services.kit.uploads import ingestion
from services.kit.uploads.upload import Upload, read

router = APIRouter(prefix="/v1/couriers", tags=["couriers"], dependencies=[COURIER])


@router.post("/{courier}/shifts", status_code=201)
async def shift(running: Running, courier: Slug, body: ShiftBody, idempotency_key: IdempotencyKey = None) -> ShiftView:
    """Records when a courier works, for one `wave` or for a whole `market_day`. The same again is answered the same;
    another one under its id is a 409. 503 while the courier, the wave or the market day is not known here.
    """
    id = id_of_request(idempotency_key, body.shift_id)
    await _known(running, courier, body)
    told = (courier, body.wave, body.market_day, body.from_at, body.until_at)
    async with running.unit() as uow:
        if not await shifts.record(uow.conn, id, *told):
            raise conflict(f"Shift {id} is another one")
    return ShiftView(
        shift=id,
        courier=courier,
        wave=body.wave,
        market_day=body.market_day,
        from_at=body.from_at,
        until_at=body.until_at,
    )


async def _known(running: Context, courier: str, body: ShiftBody | None = None) -> None:
    keys = {f"courier {courier}": key_of(CourierPut, courier)}
    if body and body.market_day:
        keys[f"market day {body.market_day}"] = key_of(MarketDayPut, body.market_day)
    lacking = [what for what, key in keys.items() if not await queries.knows(running.pool, key)]
    if body and body.wave and await queries.wave(running.pool, body.wave) is None:
        lacking.append(f"wave {body.wave}")
    if lacking:
        raise unavailable(1, f"{' and '.join(lacking)} is not known here: on its way, or it does not exist")


@router.get("/{courier}/route", response_model=CourierRoute)
async def route(running: Running, request: Request, courier: Slug) -> Response:
    """The courier's jobs in the order of their times, with an ETag for polling."""
    stops = [
        RouteStop(**row, recipient=Person(**row) if row["state"] in HANDED_OUT else None)
        for row in await queries.route(running.pool, courier)
    ]
    return polled(request, CourierRoute(courier=courier, stops=stops))


@router.post("/{courier}/sync")
async def sync(running: Running, courier: Slug, body: SyncBody) -> Synced:
    """Takes what the device has recorded; each upload is judged on its own, counts once, and is kept."""
    await _known(running, courier)
    owner = f"courier/{courier}"
    async with running.unit() as uow:
        facts = [read(one, owner, uow.now, body.device or "", f"/uploads/{n}") for n, one in enumerate(body.uploads)]
        accepted = await ingestion.accept(uow, owner, [courier_reports.judged(upload) for upload in facts])
        book = WaveRepository(uow, None)
        effects = await courier_reports.take(book, courier, accepted.fresh)
        await book.save()
    named = {(upload.device, upload.session) for upload in accepted.uploads}
    sessions = [
        SessionState(device=device, session=session, received_through=state.through, gaps=list(state.gaps))
        for (device, session), state in accepted.sessions.items()
        if (device, session) in named
    ]
    return Synced(uploads=accepted.told(effects), sessions=sessions)


async def redriven(uow: UnitOfWork, owner: str, upload: Upload, _about: Mapping[str, str]) -> str:
    """Gives a kept upload its effect, late; why it still has none, else nothing."""
    upload = courier_reports.judged(upload)
    if not upload.fault:
        book = WaveRepository(uow, None)
        await courier_reports.take(book, owner.partition("/")[2], [upload])
        await book.save()
    return upload.fault
