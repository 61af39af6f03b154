"""Stock as it stands, and the facts about it that no event brings: counts, waste, sold out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from contracts.events.inventory import Place, Reason, SoldOut, StockRecounted
from contracts.values import Pool, Slug
from services.inventory.api.schemas.stock import CountIn, WasteIn
from services.inventory.api.shared import (
    Anyone,
    Here,
    Operator,
    Stallholder,
    book_of,
    known,
    known_goods,
    known_pool,
    not_ahead,
    once,
    tagged,
)
from services.inventory.domain import count as counting
from services.inventory.domain.lot import Lot, take, take_named
from services.inventory.repository import queries, reservations
from services.inventory.repository.load_set import LoadSet
from services.inventory.repository.stock import StockRepository
from services.kit.http import problems
from services.kit.http.dependencies import IdempotencyKey
from services.kit.ids import Id, id_of_request

router = APIRouter(prefix="/v1", tags=["stock"])


@router.get("/stock")
async def stock(
    request: Request,
    context: Here,
    _role: Anyone,
    pool: Annotated[Pool | None, Query()] = None,
    item: Annotated[Slug | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 200,
    cursor: Annotated[str, Query(max_length=200, pattern=r"^[^/\x00]*/[^/\x00]*$")] = "/",
) -> Response:
    """Stock rows in order of pool and item, with their lots; `next` is the cursor of the next page or null. Has an
    ETag for polling.
    """
    after_pool, _, after_item = cursor.partition("/")
    async with context.unit() as uow:
        found = await queries.stock(uow.conn, pool, item, (after_pool, after_item), limit)
    following = f"{found[-1]['pool']}/{found[-1]['item']}" if len(found) == limit else None
    return tagged(request, {"stock": found, "next": following})


@router.post("/counts", status_code=201)
async def count(context: Here, role: Operator, body: CountIn, key: IdempotencyKey = None) -> Response:
    """Compares what was found with what the books said at count time, and takes the difference over."""
    id = id_of_request(key, body.count_id)

    async def work(book: StockRepository) -> Mapping[str, Any]:
        conn, names = book.uow.conn, (body.pool, body.item)
        not_ahead(body.counted_at, book.uow.now, "/counted_at")
        await known_pool(conn, body.pool)
        await known(conn, "item", body.item)
        await book.open(LoadSet(pools={body.pool}, goods={names}, lots={body.lot} if body.lot else set()))
        lot = _named(book, body.lot, *names)
        had = lot.on_hand if lot else book.stock(*names).on_hand
        expected = had - await reservations.moved_since(conn, *names, body.lot, body.at(book.uow.now))
        inferred = await reservations.inferred(conn, *names, body.lot)
        await book.foresee({names: max(0, expected - body.counted)})
        _counted(book, body, lot, expected, f"count/{id}", inferred)
        await book.save()
        return {"count_id": id, "expected": expected, "counted": body.counted, "difference": body.counted - expected}

    return await once(context, role, "count", id, body.content(), work)


def _named(book: StockRepository, lot: Id | None, pool: str, item: str) -> Lot | None:
    if lot is None:
        return None
    found = book.lots.get(lot)
    if found is None or (found.pool, found.item) != (pool, item):
        raise problems.unprocessable("/lot", f"no such lot of {item} in {pool}")
    return found


def _counted(
    book: StockRepository, body: CountIn, lot: Lot | None, expected: int, cause: str, inferred: list[Any]
) -> None:
    difference = body.counted - expected
    if body.reason or body.note:
        book.explain(cause, body.pool, body.item, Reason(body.reason or "other"), body.note)
    stock, lots = book.stock(body.pool, body.item), book.lots_of(body.pool, body.item)
    if lot:
        moves = counting.count_lot(lot, difference, cause, inferred, lots)
    else:
        moves = counting.count_item(stock, difference, cause, lots, inferred)
    book.apply(moves)
    book.uow.emit(
        StockRecounted(
            pool=body.pool,
            item=body.item,
            expected=max(0, expected),
            counted=body.counted,
            counted_at=body.at(book.uow.now),
            reason=Reason(body.reason) if body.reason else None,
        )
    )


@router.post("/waste", status_code=201)
async def waste(context: Here, role: Operator, body: WasteIn, key: IdempotencyKey = None) -> Response:
    """Records goods that are gone for good: a fact, never refused."""
    id = id_of_request(key, body.waste_id)

    async def work(book: StockRepository) -> Mapping[str, Any]:
        names = (body.pool, body.item)
        await known_goods(book.uow.conn, body)
        needs = LoadSet(pools={body.pool}, lots={body.lot} if body.lot else set())
        needs.out[names] = body.amount
        await book.open(needs)
        lot, lots, cause = _named(book, body.lot, *names), book.lots_of(*names), f"waste/{id}"
        book.explain(cause, *names, Reason(body.reason), body.note)
        if lot:
            inferred = await reservations.inferred(book.uow.conn, *names, lot.id)
            book.apply(take_named(lot, body.amount, Place.WASTE, cause, inferred, lots))
        else:
            book.apply(take(*names, body.amount, Place.WASTE, cause, lots))
        await book.save()
        kept = {"pool": body.pool, "item": body.item, "quantity": body.amount, "lot": body.lot, "reason": body.reason}
        return {"waste_id": id, **kept}

    return await once(context, role, "waste", id, body.content(), work)


PoolPath = Annotated[Pool, Path()]
ItemPath = Annotated[Slug, Path()]
_SOLD_OUT = "/pools/{pool}/items/{item}:sold-out"


@router.post(_SOLD_OUT)
async def sold_out(context: Here, role: Stallholder, pool: PoolPath, item: ItemPath) -> Mapping[str, Any]:
    """Nothing more of the item is promised, on any channel. Again: changes nothing."""
    return await _close(context, role, pool, item, closed=True)


@router.delete(_SOLD_OUT)
async def reopen(context: Here, role: Stallholder, pool: PoolPath, item: ItemPath) -> Mapping[str, Any]:
    """The item may be promised again."""
    return await _close(context, role, pool, item, closed=False)


async def _close(context: Here, role: str, pool: str, item: str, *, closed: bool) -> Mapping[str, Any]:
    async with context.unit() as uow:
        await known_pool(uow.conn, pool)
        await known(uow.conn, "item", item)
        book = book_of(uow, role)
        await book.open(LoadSet(pools={pool}, stock={(pool, item)}))
        if book.close(pool, item, closed=closed):
            uow.emit(SoldOut(pool=pool, item=item, reopened=not closed))
            await book.save()
        return {"pool": pool, "item": item, "sold_out": closed}
