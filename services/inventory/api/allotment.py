"""Routes of allotments: stock is lent to stall terminals, counted back, moved and renewed."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from services.inventory.api.callers import StockKeeper, check_pool, repository_of
from services.inventory.api.schemas.allotment import (
    AllotmentIn,
    AllotmentView,
    Lent,
    Moved,
    MoveIn,
    Renewal,
    Returned,
    ReturnIn,
)
from services.inventory.commands import allotment as commands
from services.kit.http.dependencies import IdempotencyKey, Running
from services.kit.http.responses import once
from services.kit.ids import id_of_request
from services.kit.transaction.unit_of_work import UnitOfWork

router = APIRouter(prefix="/v1", tags=["allotments"])


@router.post("/allotments", status_code=201, response_model=Lent)
async def lend(context: Running, caller: StockKeeper, body: AllotmentIn, key: IdempotencyKey = None) -> Response:
    """Lend stock to a terminal on a lease; 409 where the pool can't promise that much."""
    check_pool(caller, body.pool)
    command = body.command(id_of_request(key, body.allotment_id, caller.owner))

    async def work(uow: UnitOfWork) -> Lent:
        return Lent.of(await commands.lend(repository_of(uow, caller), command), allotment_id=command.id)

    return await once(context, caller, "allotment", command.id, body.content(), work)


@router.post("/allotments:return", status_code=201, response_model=Returned)
async def give_back(context: Running, caller: StockKeeper, body: ReturnIn, key: IdempotencyKey = None) -> Response:
    """Take back a counted quantity: a fact, never refused. The part above the lent quantity is found goods."""
    check_pool(caller, body.pool)
    command = body.command(id_of_request(key, body.return_id, caller.owner))

    async def work(uow: UnitOfWork) -> Returned:
        return Returned.of(await commands.give_back(repository_of(uow, caller), command), return_id=command.id)

    return await once(context, caller, "return", command.id, body.content(), work)


@router.post("/allotments:move", status_code=201, response_model=Moved)
async def move(context: Running, caller: StockKeeper, body: MoveIn, key: IdempotencyKey = None) -> Response:
    """Move lent stock from one terminal to another, as a return and a grant in one step; all or nothing."""
    check_pool(caller, body.pool)
    command = body.command(id_of_request(key, body.move_id, caller.owner))

    async def work(uow: UnitOfWork) -> Moved:
        left, lent = await commands.move(repository_of(uow, caller), command)
        return Moved(move_id=command.id, from_=AllotmentView.of(left), to=AllotmentView.of(lent))

    return await once(context, caller, "move", command.id, body.content(), work)


@router.post("/allotments:renew")
async def renew(context: Running, caller: StockKeeper, body: Renewal) -> AllotmentView:
    """Give an allotment a new lease after a sync without gaps: unconfirmed goods are allotted again. The same lease
    again changes nothing.
    """
    check_pool(caller, body.pool)
    async with context.unit() as uow:
        return AllotmentView.of(await commands.renew(repository_of(uow, caller), body.command()))
