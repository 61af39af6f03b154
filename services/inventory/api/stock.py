"""Routes of stock: its figures, counts and waste, and items that are closed or reopened."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from contracts.values import Pool, Principal, Slug
from services.inventory.api.callers import Buyer, Closer, StockKeeper, StockReader, check_pool, repository_of
from services.inventory.api.schemas.stock import (
    AvailabilityPage,
    Available,
    Confirmed,
    Counted,
    CountIn,
    ItemState,
    StockPage,
    StockView,
    Wasted,
    WasteIn,
)
from services.inventory.commands import stock as commands
from services.inventory.repository import queries
from services.kit.context import Context
from services.kit.http.dependencies import IdempotencyKey, Limit, Running
from services.kit.http.responses import etag, once
from services.kit.ids import id_of_request
from services.kit.transaction.access_log import log_act
from services.kit.transaction.unit_of_work import UnitOfWork

router = APIRouter(prefix="/v1", tags=["stock"])
PoolPath = Annotated[Pool, Path()]
ItemPath = Annotated[Slug, Path()]
_SOLD_OUT = "/pools/{pool}/items/{item}:sold-out"


@router.get("/stock", response_model=StockPage)
async def stock(
    request: Request,
    context: Running,
    caller: StockReader,
    pool: Annotated[Pool | None, Query()] = None,
    item: Annotated[Slug | None, Query()] = None,
    limit: Limit = 200,
    cursor: Annotated[str, Query(max_length=200, pattern=r"^[^/\x00]*/[^/\x00]*$")] = "/",
    in_doubt: bool = False,
) -> Response:
    """Return stock of the caller's sites in order of pool and item, each with its lots, under an ETag for polling.
    With `in_doubt` only items of which stalls sold more than is plausible.
    """
    after_pool, _, after_item = cursor.partition("/")
    async with context.unit() as uow:
        after = (after_pool, after_item)
        found = await queries.stock(uow.conn, pool, item, caller.bounds.sites, after, limit, in_doubt=in_doubt)
    following = f"{found[-1]['pool']}/{found[-1]['item']}" if len(found) == limit else None
    return etag(request, StockPage(stock=[StockView.model_validate(row) for row in found], next=following))


@router.get("/availability", response_model=AvailabilityPage)
async def availability(
    request: Request,
    context: Running,
    _caller: Buyer,
    pool: Annotated[Pool, Query()],
    limit: Limit = 200,
    cursor: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """Return the items of a pool and, for each, whether any can be ordered now; no quantities. Has an ETag."""
    async with context.unit() as uow:
        found = await queries.availability(uow.conn, pool, cursor, limit)
    following = found[-1]["item"] if len(found) == limit else None
    return etag(request, AvailabilityPage(availability=[Available(**row) for row in found], next=following))


@router.post("/counts", status_code=201, response_model=Counted)
async def count(context: Running, caller: StockKeeper, body: CountIn, key: IdempotencyKey = None) -> Response:
    """Compare a count with the recorded quantity at count time, and apply the difference."""
    check_pool(caller, body.pool)
    command = body.command(id_of_request(key, body.count_id, caller.owner))

    async def work(uow: UnitOfWork) -> Counted:
        expected = await commands.count(repository_of(uow, caller), command)
        counted = command.counted
        return Counted(count_id=command.id, expected=expected, counted=counted, difference=counted - expected)

    return await once(context, caller, "count", command.id, body.content(), work)


@router.post("/waste", status_code=201, response_model=Wasted)
async def waste(context: Running, caller: StockKeeper, body: WasteIn, key: IdempotencyKey = None) -> Response:
    """Record goods that are gone for good: a fact, never refused."""
    check_pool(caller, body.pool)
    command = body.command(id_of_request(key, body.waste_id, caller.owner))

    async def work(uow: UnitOfWork) -> Wasted:
        await commands.waste(repository_of(uow, caller), command)
        goods = command.goods
        return Wasted(
            waste_id=command.id,
            pool=goods.pool,
            item=goods.item,
            quantity=goods.quantity,
            lot=command.lot,
            reason=body.reason,
        )

    return await once(context, caller, "waste", command.id, body.content(), work)


@router.post(_SOLD_OUT)
async def close_item(context: Running, caller: Closer, pool: PoolPath, item: ItemPath) -> ItemState:
    """Close an item on every channel: nothing more of it is promised. Again: changes nothing."""
    return await _set_closed(context, caller, pool, item, closed=True)


@router.delete(_SOLD_OUT)
async def reopen_item(context: Running, caller: Closer, pool: PoolPath, item: ItemPath) -> ItemState:
    """Reopen an item: it may be promised again."""
    return await _set_closed(context, caller, pool, item, closed=False)


@router.post("/pools/{pool}/items/{item}:confirm-sales")
async def confirm_sales(context: Running, caller: StockKeeper, pool: PoolPath, item: ItemPath) -> Confirmed:
    """Confirm what stalls have sold of an item beyond what is plausible: the newest orders that now lack goods fail.

    A wrong sale is voided at its terminal instead, or corrected by a count. Again: changes nothing.
    """
    check_pool(caller, pool)
    async with context.unit() as uow:
        confirmed, shortfall = await commands.confirm_sales(repository_of(uow, caller), pool, item)
        await log_act(uow, caller, "confirm-sales", f"stock/{pool}/{item}")
    return Confirmed(pool=pool, item=item, confirmed=confirmed, shortfall=shortfall)


async def _set_closed(context: Context, caller: Principal, pool: str, item: str, *, closed: bool) -> ItemState:
    check_pool(caller, pool)
    async with context.unit() as uow:
        await commands.close_item(repository_of(uow, caller), pool, item, closed=closed)
    return ItemState(pool=pool, item=item, sold_out=closed)
