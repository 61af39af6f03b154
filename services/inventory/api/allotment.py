"""Stock lent to stall terminals: lent, counted back, moved on, renewed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response

from contracts.events.inventory import AllotmentGranted, AllotmentReturned
from services.inventory.api.schemas.stock import AllotmentIn, MoveIn, Renewal, ReturnIn
from services.inventory.api.shared import Here, Operator, book_of, known_goods, known_terminal, once
from services.inventory.domain import allotment as lending
from services.inventory.domain.allotment import Allotment
from services.inventory.repository.load_set import LoadSet
from services.inventory.repository.stock import StockRepository
from services.kit.http import problems
from services.kit.http.dependencies import IdempotencyKey
from services.kit.ids import id_of_request

router = APIRouter(prefix="/v1", tags=["allotments"])


@router.post("/allotments", status_code=201)
async def lend(context: Here, role: Operator, body: AllotmentIn, key: IdempotencyKey = None) -> Response:
    """Lends stock to a terminal on a lease; 409 where the pool can't promise that much."""
    id = id_of_request(key, body.allotment_id)

    async def work(book: StockRepository) -> Mapping[str, Any]:
        await known_goods(book.uow.conn, body)
        await known_terminal(book.uow.conn, body.terminal, body.pool)
        await book.open(_needs(body.pool, body.item, body.terminal))
        lent = _lend(book, body.terminal, body, body.lease_until, f"allotment/{id}")
        await book.save()
        return {"allotment_id": id} | shown(lent)

    return await once(context, role, "allotment", id, body.content(), work)


def _needs(pool: str, item: str, *terminals: str) -> LoadSet:
    return LoadSet(pools={pool}, terminals={(terminal, pool) for terminal in terminals}, goods={(pool, item)})


def _lend(
    book: StockRepository, terminal: str, body: AllotmentIn | MoveIn, lease_until: datetime, cause: str
) -> Allotment:
    if lease_until <= book.uow.now:
        raise problems.unprocessable("/lease_until", "the lease would have ended already")
    was = book.allotment(terminal, body.pool, body.item)
    try:
        change = lending.lend(was, book.stock(body.pool, body.item), body.amount, lease_until, cause)
    except lending.NotAvailable as short:
        raise problems.conflict(f"{body.amount} asked, {short.available} available", "not-available") from short
    lent = book.put_allotment(change)
    book.uow.emit(lending.told(AllotmentGranted, lent, body.amount), part=cause)
    return lent


@router.post("/allotments:return", status_code=201)
async def give_back(context: Here, role: Operator, body: ReturnIn, key: IdempotencyKey = None) -> Response:
    """Takes back a counted quantity: a fact, never refused. What is above the lent quantity is found goods."""
    id = id_of_request(key, body.return_id)

    async def work(book: StockRepository) -> Mapping[str, Any]:
        await known_goods(book.uow.conn, body)
        await known_terminal(book.uow.conn, body.terminal, body.pool)
        await book.open(_needs(body.pool, body.item, body.terminal))
        back = _give_back(book, body.terminal, body, f"return/{id}", counted=True)
        await book.save()
        return {"return_id": id} | shown(back)

    return await once(context, role, "return", id, body.content(), work)


def _give_back(
    book: StockRepository, terminal: str, body: ReturnIn | MoveIn, cause: str, *, counted: bool
) -> Allotment:
    was = book.allotment(terminal, body.pool, body.item)
    lots = book.lots_of(body.pool, body.item)
    losses = book.history(was.loss_cause)
    back = book.put_allotment(lending.give_back(was, body.amount, cause, lots, losses, counted=counted))
    book.uow.emit(lending.told(AllotmentReturned, back, body.amount), part=cause)
    return back


@router.post("/allotments:move", status_code=201)
async def move(context: Here, role: Operator, body: MoveIn, key: IdempotencyKey = None) -> Response:
    """Hands lent stock from one terminal to another, as a return and a grant in one step; all or nothing."""
    id = id_of_request(key, body.move_id)

    async def work(book: StockRepository) -> Mapping[str, Any]:
        await known_goods(book.uow.conn, body)
        await known_terminal(book.uow.conn, body.to_terminal, body.pool)
        await book.open(_needs(body.pool, body.item, body.from_terminal, body.to_terminal))
        left = _give_back(book, body.from_terminal, body, f"move/{id}", counted=False)
        lent = _lend(book, body.to_terminal, body, body.lease_until, f"move/{id}")
        await book.save()
        return {"move_id": id, "from": shown(left), "to": shown(lent)}

    return await once(context, role, "move", id, body.content(), work)


@router.post("/allotments:renew")
async def renew(context: Here, role: Operator, body: Renewal) -> Mapping[str, Any]:
    """A new lease after a sync without gaps: what had lapsed is allotted again. Repeated: changes nothing."""
    async with context.unit() as uow:
        book = book_of(uow, role)
        await book.open(_needs(body.pool, body.item, body.terminal))
        was = book.allotment(body.terminal, body.pool, body.item)
        if not was.version:
            raise problems.not_found(f"an allotment of {body.item} to {body.terminal} in {body.pool}")
        if body.lease_until <= uow.now:
            raise problems.unprocessable("/lease_until", "the lease would have ended already")
        if was.lease_until == body.lease_until and not was.unconfirmed:
            return shown(was)
        renewed = book.put_allotment(lending.renew(was, body.lease_until, f"renewal/{body.terminal}"))
        uow.emit(lending.told(AllotmentGranted, renewed, 0))
        await book.save()
        return shown(renewed)


def shown(allotment: Allotment) -> dict[str, Any]:
    """An allotment as clients see it. A terminal's left = granted_total - returned_total - its own sales."""
    return {
        "terminal": allotment.terminal,
        "pool": allotment.pool,
        "item": allotment.item,
        "granted_total": allotment.granted,
        "returned_total": allotment.returned,
        "sold_total": allotment.sold,
        "overdrawn_total": allotment.overdrawn,
        "lost_total": allotment.lost,
        "allotted": allotment.allotted,
        "unconfirmed": allotment.unconfirmed,
        "version": allotment.version,
        "lease_until": allotment.lease_until,
    }
