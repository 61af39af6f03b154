"""Lots: intake by household, the inspection gate, and the trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from contracts.events.inventory import LotReceived, LotRejected, LotReleased, Reason
from services.inventory.api.schemas.stock import Inspection, LotIn
from services.inventory.api.shared import Anyone, Here, Operator, book_of, known, known_goods, not_ahead, once
from services.inventory.domain import lot as lots
from services.inventory.domain.lot import Lot, LotState
from services.inventory.repository import queries
from services.inventory.repository.load_set import LoadSet
from services.inventory.repository.stock import StockRepository
from services.kit.http import problems
from services.kit.http.dependencies import IdempotencyKey
from services.kit.ids import Id, id_of_request

router = APIRouter(prefix="/v1/lots", tags=["lots"])
LotId = Annotated[Id, Path()]


@router.post("", status_code=201)
async def receive(context: Here, role: Operator, body: LotIn, key: IdempotencyKey = None) -> Response:
    """Records goods that were weighed in; they are not sellable before their inspection."""
    id = id_of_request(key, body.lot_id)

    async def work(book: StockRepository) -> Mapping[str, Any]:
        not_ahead(body.harvested_at, book.uow.now, "/harvested_at")
        await known_goods(book.uow.conn, body)
        await known(book.uow.conn, "household", body.household)
        await book.open(LoadSet(pools={body.pool}))
        lot = Lot(id, body.pool, body.item, body.household, body.amount, body.harvested_at, body.sell_by)
        book.lots.put(lot)
        book.uow.emit(
            LotReceived(
                lot=id,
                pool=lot.pool,
                item=lot.item,
                household=lot.household,
                quantity=lot.received,
                harvested_at=lot.harvested_at,
                sell_by=lot.sell_by,
            )
        )
        await book.save()
        return await _shown(book, id)

    return await once(context, role, "lot", id, body.content(), work)


async def _shown(book: StockRepository, id: Id) -> Mapping[str, Any]:
    return await queries.lot(book.uow.conn, id) or {}


@router.post("/{id}:inspect")
async def inspect(context: Here, role: Operator, id: LotId, body: Inspection) -> Mapping[str, Any]:
    """What passed is in the pool from here on, the rest is rejected. The same result again changes nothing; another
    one is a 409.
    """
    async with context.unit() as uow:
        book = book_of(uow, role)
        found = await queries.lot(uow.conn, id)
        if found is None:
            raise problems.not_found(f"lot {id}")
        await book.open(LoadSet(pools={found["pool"]}, stock={(found["pool"], found["item"])}, lots={id}))
        lot = book.lots.get(id)
        assert lot is not None
        passed = (body.quantity or lot.received) if body.result == "pass" else 0
        if passed > lot.received:
            raise problems.unprocessable("/quantity", f"the lot has only {lot.received}")
        if lot.state is LotState.RECEIVED:
            _inspected(book, lot, passed, body)
            await book.save()
        elif lot.released != passed:
            raise problems.conflict(f"lot {id} was inspected with another result: {lot.released} passed")
        return await _shown(book, id)


def _inspected(book: StockRepository, lot: Lot, passed: int, result: Inspection) -> None:
    after, moves = lots.inspect(lot, passed)
    book.lots.put(after)
    book.apply(moves)
    if after.released:
        book.uow.emit(LotReleased(lot=lot.id, pool=lot.pool, item=lot.item, quantity=after.released))
    if after.rejected:
        reason = Reason(result.reason)
        book.explain(f"inspection/{lot.id}", lot.pool, lot.item, reason, result.note)
        book.uow.emit(LotRejected(lot=lot.id, pool=lot.pool, item=lot.item, quantity=after.rejected, reason=reason))


@router.get("/{id}")
async def show(context: Here, _role: Anyone, id: LotId) -> Mapping[str, Any]:
    """One lot."""
    async with context.unit() as uow:
        found = await queries.lot(uow.conn, id)
    if found is None:
        raise problems.not_found(f"lot {id}")
    return found


@router.get("/{id}/trace")
async def trace(
    context: Here,
    role: Operator,
    id: LotId,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: Annotated[int, Query(ge=0, lt=2**63)] = 0,
) -> Mapping[str, Any]:
    """The lot and its movements, oldest first; `next` is the cursor of the next page, null on the last."""
    found = await show(context, role, id)
    async with context.unit() as uow:
        moves = await queries.trace(uow.conn, id, cursor, limit)
    following = moves[-1]["n"] if len(moves) == limit else None
    movements = [{name: value for name, value in move.items() if name != "n"} for move in moves]
    return {"lot": found, "movements": movements, "next": following}
