"""Routes of lots: goods are received from households and inspected, and each lot can be traced."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from contracts.values import Principal
from services.inventory.api.callers import StockKeeper, StockReader, check_pool, repository_of
from services.inventory.api.schemas.lot import Inspection, LotIn, LotTrace, LotView, MovementView
from services.inventory.commands import lot as commands
from services.inventory.domain.access import may_use
from services.inventory.repository import queries
from services.inventory.repository.store import StockStore
from services.kit.http import problems
from services.kit.http.dependencies import Cursor, IdempotencyKey, Limit, Running
from services.kit.http.responses import next_cursor, once
from services.kit.ids import Id, id_of_request
from services.kit.transaction.unit_of_work import UnitOfWork

router = APIRouter(prefix="/v1/lots", tags=["lots"])
LotId = Annotated[Id, Path()]


@router.post("", status_code=201, response_model=LotView)
async def receive(context: Running, caller: StockKeeper, body: LotIn, key: IdempotencyKey = None) -> Response:
    """Record goods that were weighed in; they can't be sold before their inspection."""
    check_pool(caller, body.pool)
    command = body.command(id_of_request(key, body.lot_id, caller.owner))

    async def work(uow: UnitOfWork) -> LotView:
        await commands.receive(repository_of(uow, caller), command)
        return await _view(uow.store, command.id, caller)

    return await once(context, caller, "lot", command.id, body.content(), work)


@router.post("/{id}:inspect")
async def inspect(context: Running, caller: StockKeeper, id: LotId, body: Inspection) -> LotView:
    """Release the quantity that passed into the pool and reject the rest. The same result again changes nothing;
    another one is a 409.
    """
    async with context.unit() as uow:
        await _view(uow.store, id, caller)
        await commands.inspect(repository_of(uow, caller), body.command(id))
        return await _view(uow.store, id, caller)


@router.get("/{id}")
async def show(context: Running, caller: StockReader, id: LotId) -> LotView:
    """Return one lot."""
    async with context.unit() as uow:
        return await _view(uow.store, id, caller)


@router.get("/{id}/trace")
async def trace(context: Running, caller: StockKeeper, id: LotId, limit: Limit = 100, cursor: Cursor = 0) -> LotTrace:
    """Return the lot and a page of its movements, oldest first."""
    async with context.unit() as uow:
        lot = await _view(uow.store, id, caller)
        moves = await queries.trace(uow.conn, id, cursor, limit)
    movements = [MovementView.model_validate(move) for move in moves]
    return LotTrace(lot=lot, movements=movements, next=next_cursor(moves, limit, "n"))


async def _view(store: StockStore, id: Id, caller: Principal) -> LotView:
    found = await store.read_lot_view(id)
    if found is None or not may_use(caller, found["pool"]):
        raise problems.not_found(f"lot {id}")
    return LotView.model_validate(found)
