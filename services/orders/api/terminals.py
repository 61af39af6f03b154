"""The route of stall terminals: they upload what they have and are told what they need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from contracts.events.orders import SaleConflicted
from contracts.values import Slug, pool_of
from services.kit import problems, sequenced
from services.kit.http import require
from services.kit.service import Context
from services.kit.unit_of_work import UnitOfWork
from services.orders import schemas_terminal as s
from services.orders.api import answers
from services.orders.api.intake import refused
from services.orders.domain import terminal as domain
from services.orders.domain.acceptance import unreadable
from services.orders.domain.catalog import Catalog
from services.orders.repository import projections, stall
from services.orders.repository.catalog import CatalogCache

Terminal = Annotated[str, Depends(require("terminal", "operator"))]


def routes(context: Context, cache: CatalogCache) -> APIRouter:
    """Everything under `/v1/terminals`."""
    router = APIRouter(tags=["terminals"])

    @router.post("/v1/terminals/{id}/sync")
    async def sync(id: Slug, body: s.SyncIn, _role: Terminal) -> Response:
        """Facts take effect when they arrive, each once; `received_through` and `gaps` say what is still missing."""
        async with context.unit() as uow:
            return answers.json(await _sync(uow, await cache.current(uow.conn), id, body))

    return router


async def _sync(uow: UnitOfWork, catalog: Catalog, id: str, body: s.SyncIn) -> dict[str, Any]:
    for path in (f"terminals/{id}", f"market-days/{body.market_day}"):
        if path in catalog.unreadable:
            raise refused(unreadable("", path))
    terminal = await stall.lock_terminal(uow.conn, id)
    if terminal is None:
        raise problems.not_found(f"terminal {id}")
    if body.market_day not in catalog.market_days:
        raise problems.unprocessable("/market_day", f"market day {body.market_day} is not known")
    pool = pool_of(body.market_day, terminal["site"])
    facts = _facts(body, id, pool, catalog)
    owner = f"terminal/{id}"
    conflicts: list[dict[str, Any]] = []
    if facts:
        uploads = [s.numbered(body.device, one) for one in body.uploads]
        before = await stall.conflicts_known(uow.conn, owner, [upload.key for upload in uploads])
        accepted = await sequenced.accept(uow.conn, owner, uploads)
        conflicts += await _take(uow, id, [facts[one.key] for one in accepted.fresh], accepted.received_through)
        conflicts += _report(uow, facts, accepted, before)
    return await _answer(uow, catalog, id, body.device, pool, conflicts)


def _facts(body: s.SyncIn, id: str, pool: str, catalog: Catalog) -> dict[sequenced.Key, domain.Upload]:
    """Every upload as a fact by its number; of two contents under one number the first stands."""
    found: dict[sequenced.Key, domain.Upload] = {}
    for n, one in enumerate(body.uploads):
        if one.device not in {None, body.device}:
            raise problems.unprocessable(f"/uploads/{n}/device", "one terminal is one device")
        upload = s.numbered(body.device, one)
        found.setdefault(upload.key, s.fact(upload, id, pool, catalog, f"/uploads/{n}"))
    return found


async def _take(
    uow: UnitOfWork, id: str, fresh: Sequence[domain.Upload], received: dict[sequenced.Session, int]
) -> list[dict[str, Any]]:
    sales = {one.body.sale for one in fresh if isinstance(one.body, domain.Sale | domain.Void)}
    before = await stall.load_stall(uow.conn, id, sales)
    after, events = domain.fold(before, fresh, received)
    await stall.save_stall(uow.conn, id, before, after, uow.now)
    for event in events:
        uow.emit(event)
    clashes = [event for event in events if isinstance(event, SaleConflicted)]
    return [{"session": one.session, "seq": one.seq_no, "why": "this sale id has another content"} for one in clashes]


def _report(
    uow: UnitOfWork,
    facts: dict[sequenced.Key, domain.Upload],
    accepted: sequenced.Accepted,
    before: tuple[dict[sequenced.Key, bytes], set[Any]],
) -> list[dict[str, Any]]:
    """Numbers that came again with another content: kept and shown each time, told the world once each."""
    stands, told = before
    stands = {one.key: one.digest for one in accepted.fresh} | stands
    for one in accepted.conflicts:
        if (one.key, one.digest) not in told:
            told.add((one.key, one.digest))
            uow.emit(domain.conflicted(facts[one.key], stands[one.key].hex(), one.digest.hex()))
    return [
        {"session": one.session, "seq": one.seq, "why": "this number has another content"} for one in accepted.conflicts
    ]


async def _answer(
    uow: UnitOfWork, catalog: Catalog, id: str, device: str, pool: str, conflicts: list[dict[str, Any]]
) -> dict[str, Any]:
    progress = await sequenced.progress(uow.conn, f"terminal/{id}")
    mine = {session: state for (owner, session), state in progress.items() if owner == device}
    return {
        "pool": pool,
        "received_through": {session: through for session, (through, _) in mine.items()},
        "gaps": {session: gaps for session, (_, gaps) in mine.items()},
        "conflicts": conflicts,
        "prices": s.stall_prices(catalog, uow.now),
        "sold_out": await projections.sold_out_in(uow.conn, pool),
        "recalls": [],
        "allotment": await projections.allotment_of(uow.conn, id, pool),
    }
