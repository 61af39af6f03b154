"""The routes of stall terminals: they upload what they have and learn what they need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from contracts.events.orders import SaleConflicted
from contracts.values import Slug, pool_of
from services.kit.context import Context
from services.kit.http import problems
from services.kit.http.dependencies import require
from services.kit.transaction.unit_of_work import UnitOfWork
from services.kit.uploads import ingestion
from services.kit.uploads import sessions as sequenced_table
from services.kit.uploads.ingestion import Accepted
from services.kit.uploads.upload import Key, Session, Upload, UploadAnswer, read
from services.orders.api import answers
from services.orders.api.schemas import stall as s
from services.orders.commands.place_orders import refused
from services.orders.domain import stall as domain
from services.orders.domain.catalog import Catalog
from services.orders.domain.order.policy import unreadable_entry
from services.orders.repository import projections, stall
from services.orders.repository.catalog import CatalogCache

Terminal = Annotated[str, Depends(require("terminal", "operator"))]
Operator = Annotated[str, Depends(require("operator"))]
Effects = dict[Key, tuple[str, str]]
_CLASH = ("conflict", "this sale id has another content, or is another terminal's")


def routes(context: Context, cache: CatalogCache) -> APIRouter:
    """Everything under `/v1/terminals`."""
    router = APIRouter(tags=["terminals"])

    @router.post("/v1/terminals/{id}/sync")
    async def sync(id: Slug, body: s.SyncIn, _role: Terminal) -> Response:
        """Takes each upload on its own: it applies once, or is kept with the reason, and never holds up another.
        `received_through` and `gaps` say what is still missing.
        """
        async with context.unit() as uow:
            return answers.json(await _sync(uow, await cache.current(uow.conn), id, body))

    @router.post("/v1/terminals/{id}:reset-device")
    async def reset(id: Slug, _role: Operator, body: s.ResetIn | None = None) -> Response:
        """Retires the terminal's device: it may still upload what it holds, and is lent nothing. The device that is
        named, or else the next new one that syncs, takes its place.
        """
        async with context.unit() as uow:
            if await stall.lock_terminal(uow.conn, id) is None:
                raise problems.not_found(f"terminal {id}")
            device = body.device if body else None
            retired = await stall.reset_device(uow.conn, id, device)
        return answers.json({"terminal": id, "device": device, "retired": retired})

    return router


async def redriven(uow: UnitOfWork, owner: str, upload: Upload, about: Mapping[str, str]) -> str:
    """Gives a kept upload its effect, late; why it still has none, else nothing."""
    id = owner.partition("/")[2]
    if await stall.lock_terminal(uow.conn, id) is None:
        return f"terminal {id} is not in the catalogue"
    fact = s.fact(upload, id, about["pool"], await CatalogCache().current(uow.conn))
    if isinstance(fact, str):
        return fact
    sessions = await sequenced_table.progress(uow.conn, owner)
    await _take(uow, id, [fact], {session: state.through for session, state in sessions.items()})
    return ""


async def _sync(uow: UnitOfWork, catalog: Catalog, id: str, body: s.SyncIn) -> dict[str, Any]:
    for path in (f"terminals/{id}", f"market-days/{body.market_day}"):
        if path in catalog.unreadable:
            raise refused(unreadable_entry("", path))
    terminal = await stall.lock_terminal(uow.conn, id)
    if terminal is None:
        raise problems.not_found(f"terminal {id}")
    if body.market_day not in catalog.market_days:
        raise problems.unprocessable("/market_day", f"market day {body.market_day} is not known")
    active = await _is_active(uow, id, body.device)
    pool, owner = pool_of(body.market_day, terminal["site"]), f"terminal/{id}"
    uploads = _read(uow, owner, body)
    facts = [s.fact(upload, id, pool, catalog) for upload in uploads]
    uploads = [
        replace(upload, fault=fact) if isinstance(fact, str) else upload
        for upload, fact in zip(uploads, facts, strict=True)
    ]
    accepted = await ingestion.accept(uow, owner, uploads, {"pool": pool})
    effects: Effects = {}
    if uploads:
        by_key: dict[Key, domain.StallUpload] = {}
        for upload, fact in zip(uploads, facts, strict=True):
            if isinstance(fact, domain.StallUpload):  # of two contents under one number the first counts
                by_key.setdefault(upload.key, fact)
        received = {session: state.through for session, state in accepted.sessions.items()}
        effects = await _take(uow, id, [by_key[upload.key] for upload in accepted.fresh], received)
        _report(uow, id, pool, accepted)
    return await _answer(uow, catalog, id, body.device, pool, accepted, effects, active=active)


async def _is_active(uow: UnitOfWork, id: str, device: str) -> bool:
    active, retired = await stall.bind_device(uow.conn, id, device)
    if active == device or retired:
        return active == device
    raise problems.conflict(
        f"terminal {id} works with device {active}, so {device} can't sync for it. Use that device, or let an operator "
        f"change it with POST /v1/terminals/{id}:reset-device",
        "other-device",
    )


def _read(uow: UnitOfWork, owner: str, body: s.SyncIn) -> list[Upload]:
    for n, one in enumerate(body.uploads):
        if one.device not in {None, body.device}:
            raise problems.unprocessable(f"/uploads/{n}/device", "one terminal is one device")
    return [read(one, owner, uow.now, body.device, f"/uploads/{n}") for n, one in enumerate(body.uploads)]


async def _take(
    uow: UnitOfWork, id: str, fresh: Sequence[domain.StallUpload], received: Mapping[Session, int]
) -> Effects:
    sales = {one.body.sale for one in fresh if isinstance(one.body, domain.Sale | domain.Void)}
    before = await stall.load_stall(uow.conn, id, sales)
    after, events = domain.fold(before, fresh, received)
    await stall.save_stall(uow.conn, id, before, after, uow.now)
    for event in events:
        uow.emit(event)
    return {(e.device, e.session, e.seq_no): _CLASH for e in events if isinstance(e, SaleConflicted)}


def _report(uow: UnitOfWork, id: str, pool: str, accepted: Accepted) -> None:
    """Publishes numbers that came again with another content, once for each content."""
    for one in accepted.news:
        first = accepted.stands[one.key].digest
        uow.emit(domain.conflicted(s.place(one, id, pool), first.hex(), one.digest.hex()))


async def _answer(
    uow: UnitOfWork,
    catalog: Catalog,
    id: str,
    device: str,
    pool: str,
    accepted: Accepted,
    effects: Effects,
    *,
    active: bool,
) -> dict[str, Any]:
    mine = {session: state for (owner, session), state in accepted.sessions.items() if owner == device}
    uploads = accepted.told(effects)
    return {
        "pool": pool,
        "active": active,
        "uploads": [one.model_dump() for one in uploads],
        "received_through": {session: state.through for session, state in mine.items()},
        "gaps": {session: state.gaps for session, state in mine.items()},
        "conflicts": [_conflict(one) for one in uploads if one.answer == "conflict"],
        "prices": s.stall_prices(catalog, uow.now),
        "sold_out": await projections.sold_out_in(uow.conn, pool),
        "recalls": [],
        "allotment": await projections.allotment_of(uow.conn, id, pool) if active else [],
    }


def _conflict(one: UploadAnswer) -> dict[str, Any]:
    return {"session": one.session, "seq": one.seq, "why": one.reason}
